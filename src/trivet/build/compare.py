"""Compare: what differs between two builds of one commit, file by file."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivet.host.tree import hash_file
from trivet.model.build import Build
from trivet.model.checked import Difference
from trivet.model.frozen import frozen


@frozen
class _Entry:
    kind: str  # "file", "link" or "folder"
    value: str
    is_program: bool = False


def compare_builds(old: Build, old_bundle: Path, new: Build, new_bundle: Path) -> tuple[Difference, ...]:
    """What the new build has otherwise than the old; nothing if they are the same to the byte."""
    before, after = ({layer.name: layer.digest for layer in build.layers} for build in (old, new))
    found = [
        difference
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
        for difference in _compare_layer(name, old_bundle / name, new_bundle / name)
    ]
    if old.id != new.id and not found:
        found.append(Difference("", "build.json", "process types or variables"))
    return tuple(found)


def _compare_layer(name: str, old: Path, new: Path) -> Iterator[Difference]:
    before, after = dict(_entries(old, "")), dict(_entries(new, ""))
    for path in sorted({*before, *after}):
        what = _compare_entries(before, after, path)
        if what:
            yield Difference(name, path, what)


def _compare_entries(before: Mapping[str, _Entry], after: Mapping[str, _Entry], path: str) -> str:
    if path not in after:
        return "missing"
    if path not in before:
        return "added"
    old, new = before[path], after[path]
    if old.kind != new.kind:
        return "kind"
    if old.value != new.value:
        return "content"
    return "mode" if old.is_program != new.is_program else ""


def _entries(folder: Path, above: str) -> Iterator[tuple[str, _Entry]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as found:
        for entry in found:
            path = f"{above}{entry.name}"
            if entry.is_symlink():
                yield path, _Entry("link", os.readlink(entry.path))  # noqa: PTH115
            elif entry.is_dir():
                yield path, _Entry("folder", "")
                yield from _entries(Path(entry.path), f"{path}/")
            else:
                is_program = bool(entry.stat().st_mode & 0o111)
                yield path, _Entry("file", hash_file(Path(entry.path)), is_program)

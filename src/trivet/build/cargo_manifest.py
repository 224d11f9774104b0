"""Cargo.toml and the other files that tell of a Rust app before anything runs: the programs it has.

https://doc.rust-lang.org/cargo/reference/cargo-targets.html
"""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from trivet.errors import DetectionError, InvalidFile
from trivet.model.build_plan import SourceTree
from trivet.model.settings import Settings, invalid_setting, suggestion

_MANIFEST = "Cargo.toml"


def read_programs(tree: SourceTree, settings: Settings) -> tuple[str, ...]:
    """The binaries that trivet.toml names, else what `default-run` names, else all. Raises: DetectionError, InvalidFile."""
    manifests = tuple(_manifests(tree))
    programs = tuple(
        dict.fromkeys(name for folder, manifest in manifests for name in _binaries(tree, folder, manifest))
    )
    if settings.build.programs:
        return _chosen(tree, settings, programs)
    if not programs:
        raise DetectionError(
            "There is Cargo.toml, but no program: no src/main.rs, nothing in src/bin, and no [[bin]].",
            hint="Put the server into src/main.rs, or name the folder of its workspace with `--dir`.",
        )
    preferred = tuple(manifest.get("package", {}).get("default-run") for _, manifest in manifests)
    return next(((name,) for name in preferred if name in programs), programs)


def refuse_programs_of_the_app(tree: SourceTree) -> None:
    """Nothing of the app would be run by cargo while it fetches. Raises: InvalidFile.

    The compiler and its wrapper can be set from outside, so they need not be looked for.
    """
    for path in (".cargo/config.toml", ".cargo/config"):
        if "credential-pro" in (tree.read(path) or ""):
            raise InvalidFile(
                f"{path} names a program that gives credentials (credential-provider), which would run with the network.",
                hint="Remove it, and vendor crates that need credentials: `cargo vendor` says what goes into the file instead.",
            )
    for path in ("rust-toolchain.toml", "rust-toolchain"):
        if re.search(r"^\s*path\s*=", tree.read(path) or "", re.M):
            raise InvalidFile(
                f"{path} names a toolchain by its path.", hint='Name it by its channel, for example `channel = "1.83"`.'
            )


def _manifests(tree: SourceTree) -> Iterator[tuple[str, dict[str, Any]]]:
    """The folder and the content of the app's manifest, and of those of its workspace."""
    top = _read(tree, _MANIFEST)
    yield "", top
    workspace = top.get("workspace", {})
    for path in tree.files:
        folder = path.removesuffix(f"/{_MANIFEST}")
        if folder == path or _is_among(folder, workspace.get("exclude", ())):
            continue
        if _is_among(folder, workspace.get("members", ())):
            yield f"{folder}/", _read(tree, path)


def _is_among(folder: str, patterns: list[str]) -> bool:
    depth = folder.count("/")
    return any(fnmatchcase(folder, pattern) and depth == pattern.count("/") for pattern in patterns)


def _read(tree: SourceTree, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(tree.read(path) or "")
    except tomllib.TOMLDecodeError as error:
        raise InvalidFile(
            f"{path} cannot be read: {error}.", hint="`cargo check` shows the place. Mend it and commit it."
        ) from error


def _binaries(tree: SourceTree, folder: str, manifest: dict[str, Any]) -> Iterator[str]:
    package = manifest.get("package")
    if not package:
        return
    named = manifest.get("bin", [])
    yield from (binary["name"] for binary in named)
    if not package.get("autobins", True):
        return
    paths = [binary.get("path") for binary in named]
    if f"{folder}src/main.rs" in tree.files and "src/main.rs" not in paths:
        yield package["name"]
    for path in tree.files:
        found = re.fullmatch(re.escape(folder) + r"(src/bin/([^/]+?)(?:\.rs|/main\.rs))", path)
        if found and found[1] not in paths:
            yield found[2]


def _chosen(tree: SourceTree, settings: Settings, programs: tuple[str, ...]) -> tuple[str, ...]:
    for name in settings.build.programs:
        if name not in programs:
            raise invalid_setting(
                tree.read("trivet.toml") or "",
                ("build", "programs"),
                f"there is no Rust program {name!r}.",
                suggestion(name, programs),
            )
    return settings.build.programs

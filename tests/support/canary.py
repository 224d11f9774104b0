"""A value that sings: however it was encoded, it is found in what holds it."""

import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

VALUE = f"sings/like+a canary&{secrets.token_hex(6)}=e9"  # another one in each process that tests


def _needles(value: str) -> Iterator[bytes]:
    """The value as it is, URL-encoded, in hex, and in base64 wherever it begins in what was encoded."""
    raw = value.encode()
    yield from (raw, quote(value).encode(), quote(value, safe="").encode(), quote_plus(value).encode())
    yield from (raw.hex().encode(), raw.hex().upper().encode(), raw[::-1])
    for before in range(3):
        first = -(-before * 4 // 3)  # the first character that no byte before the value has a part in
        whole = (before + len(raw)) // 3 * 4  # the last that no byte after it has
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw)[first:whole]


_NEEDLES = tuple(_needles(VALUE))


def holds_it(content: bytes) -> bool:
    """Whether the value is in there."""
    return any(needle in content for needle in _NEEDLES)


def found_below(folder: Path) -> set[str]:
    """The files below the folder that hold the value, and the links and names that do."""
    walked = os.walk(folder)  # which passes over what is removed meanwhile
    paths = (Path(above, name) for above, folders, files in walked for name in (*folders, *files))
    return {path.relative_to(folder).as_posix() for path in paths if _sings(path, folder)}


def command_lines_with_it() -> list[str]:
    """Those of all processes of this machine that hold the value."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            content = path.read_bytes()
        except OSError:  # it has ended
            continue
        if holds_it(content):
            found.append(content.replace(b"\0", b" ").decode(errors="replace"))
    return found


def _sings(path: Path, top: Path) -> bool:
    if holds_it(os.fsencode(path.relative_to(top))):
        return True
    try:
        if path.is_symlink():
            return holds_it(os.fsencode(path.readlink()))
        return path.is_file() and holds_it(path.read_bytes())
    except FileNotFoundError:  # gone meanwhile
        return False

"""Bytecode: a program for the app's own Python, which needs its standard library alone.

    python -s -S bytecode.py BUNDLE FOLDER EARLIER quietly|aloud

Every Python file below FOLDER has bytecode that stays valid when times change (PEP 552, unchecked); the paths in it start at
BUNDLE, and the import system puts the real ones in. What marshalling writes can depend on what a process compiled before
(https://github.com/python/cpython/issues/129724), and a process for each file takes three times as long as compiling it. So
files are dealt out by their paths, and each share is compiled in order by a process that has compiled nothing: its bytecode
is decided by the share and the Python. Hence it is taken from EARLIER, the same folder as this Python compiled it for
another build, where the share is the same there. A file that is no valid Python (a template, a test's data) does not matter
until it is imported.
"""

import contextlib
import gc
import importlib.util
import os
import py_compile
import sys
import warnings
import zlib
from collections.abc import Iterator

_HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")  # a hash follows that nobody compares
_UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
_SHARES = 64  # few files have to be compiled again for a changed one, and few processes be started for all


def main(bundle: str, folder: str, earlier: str, manner: str) -> None:
    """All is compiled. Raises: OSError, ChildProcessError."""
    gc.disable()  # what it leaves alive would depend on what was done before
    shares = zip(_shares(folder), _shares(earlier), strict=True)
    left = [share for share, there in shares if share and not (share == there and _take(share, folder, earlier))]
    running = 0
    for share in left:
        if running == (os.cpu_count() or 1):
            running -= _await_one()
        if os.fork() == 0:
            os._exit(_compile([os.path.join(folder, name) for name in share], bundle, aloud=manner == "aloud"))
        running += 1
    while running:
        running -= _await_one()


def _shares(folder: str) -> list[list[str]]:
    """The paths of the folder's Python files, dealt out by what they say."""
    shares: list[list[str]] = [[] for _ in range(_SHARES)]
    for path in _sources(folder):
        shares[zlib.crc32(os.fsencode(path)) % _SHARES].append(path)
    return [sorted(share) for share in shares]


def _sources(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(".py") and os.path.isfile(path):
                yield os.path.relpath(path, folder)


def _take(share: list[str], folder: str, earlier: str) -> bool:
    """Whether the earlier build had this share with the same contents, and bytecode, which then stands beside the sources."""
    taken = []
    for name in share:
        source, there = os.path.join(folder, name), os.path.join(earlier, name)
        try:
            content, bytecode = _read(source), _read(importlib.util.cache_from_source(there))
            if _read(there) != content or not bytecode.startswith(_HEADER + importlib.util.source_hash(content)):
                return False
        except OSError:
            return False
        taken.append((source, bytecode))
    for source, bytecode in taken:
        _write(source, bytecode)
    return True


def _write(source: str, bytecode: bytes) -> None:
    target = importlib.util.cache_from_source(source)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    _remove(target)
    mode = os.stat(source).st_mode & 0o666 | 0o200  # as py_compile has it
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(bytecode)


def _compile(share: list[str], bundle: str, *, aloud: bool) -> int:
    """The files were compiled; the exit status that says whether the machine let that be done."""
    warnings.simplefilter("ignore")
    for source in share:
        named = os.path.relpath(source, bundle)
        _remove(importlib.util.cache_from_source(source))  # whatever wrote that, it is not of this source
        try:
            py_compile.compile(source, dfile=named, doraise=True, invalidation_mode=_UNCHECKED)
        except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError) as error:
            if aloud:
                print(f"{named} is no valid Python: {error}", flush=True)
        except OSError as error:
            print(error, flush=True)
            return 1
    return 0


def _await_one() -> int:
    """1: so many processes have ended, which did what they should."""
    pid, status = os.wait()
    if status != 0:
        raise ChildProcessError(f"The process {pid} that compiled files ended with status {status}.")
    return 1


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Bytecode: a program for the app's own Python, which needs its standard library alone.

    python -s -S bytecode.py BUNDLE FOLDER EARLIER quietly|aloud

Every Python file below FOLDER has bytecode that stays valid when times change (PEP 552, unchecked); the paths in it start at
BUNDLE, and the import system puts the real ones in. What marshalling writes can depend on what was compiled before
(https://github.com/python/cpython/issues/129724), so each file is compiled in a process that has compiled nothing: its
bytecode is decided by its content, its path and the Python. Hence it is taken from EARLIER, the same folder as this Python
compiled it for another build, where the file is there with the same content. A file that is no valid Python (a template, a
test's data) does not matter until it is imported.
"""

import contextlib
import importlib.util
import os
import py_compile
import sys
import warnings
from collections.abc import Iterator

_HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")  # a hash follows that nobody compares


def main(bundle: str, folder: str, earlier: str, manner: str) -> None:
    """All is compiled. Raises: OSError, ChildProcessError."""
    running = 0
    for source in _sources(folder):
        if _take(source, os.path.join(earlier, os.path.relpath(source, folder))):
            continue
        if running == (os.cpu_count() or 1):
            running -= _await_one()
        if os.fork() == 0:
            _compile(source, os.path.relpath(source, bundle), aloud=manner == "aloud")
        running += 1
    while running:
        running -= _await_one()


def _sources(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(".py") and os.path.isfile(path):
                yield path


def _take(source: str, earlier: str) -> bool:
    """Whether the earlier build has the same source, and bytecode of it, which then stands beside the source."""
    try:
        content, bytecode = _read(source), _read(importlib.util.cache_from_source(earlier))
        if _read(earlier) != content or not bytecode.startswith(_HEADER + importlib.util.source_hash(content)):
            return False
    except OSError:
        return False
    target = importlib.util.cache_from_source(source)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    _remove(target)
    mode = os.stat(source).st_mode & 0o666 | 0o200  # as py_compile has it
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(bytecode)
    return True


def _compile(source: str, named: str, *, aloud: bool) -> None:
    """This process has compiled the file and ended."""
    _remove(importlib.util.cache_from_source(source))  # whatever wrote that, it is not of this source
    warnings.simplefilter("ignore")
    try:
        py_compile.compile(
            source, dfile=named, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError) as error:
        if aloud:
            print(f"{named} is no valid Python: {error}", flush=True)
    except OSError as error:
        print(error, flush=True)
        os._exit(1)
    os._exit(0)


def _await_one() -> int:
    """1: so many processes have ended, which did what they should."""
    pid, status = os.wait()
    if status != 0:
        raise ChildProcessError(f"The process {pid} that compiled a file ended with status {status}.")
    return 1


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


if __name__ == "__main__":
    main(*sys.argv[1:])

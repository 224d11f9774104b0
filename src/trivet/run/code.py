"""Which code this is: the version of Trivet, and a digest of what the supervisor and the front door are made of.

A supervisor and a door say what they were started as, and whoever finds that it is not what is installed replaces them.
"""

from pathlib import Path

import trivet

_PACKAGE = Path(trivet.__file__).parent
_PARTS = ("__init__.py", "errors.py", "model/**/*.py", "host/**/*.py", "run/**/*.py")
_DIGITS = 8


def installed() -> str:
    """The code that is installed, as `0.1.0+3f2a9c41`: read anew, since it may have been replaced."""
    import hashlib  # 3 MB that the supervisor, which never asks, should not have

    digest = hashlib.sha256()
    for path in sorted(path for part in _PARTS for path in _PACKAGE.glob(part)):
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        digest.update(path.read_bytes())
    return f"{trivet.__version__}+{digest.hexdigest()[:_DIGITS]}"


def version_of(code: str) -> str:
    """`0.1.0`, for a person; `unknown` of a supervisor that does not say."""
    return code.partition("+")[0] or "unknown"


def is_newer(code: str, other: str) -> bool:
    """Whether the code is of a later version than the other. A version that cannot be read is the oldest."""
    return _numbers(code) > _numbers(other)


def _numbers(code: str) -> tuple[int, ...]:
    parts = code.partition("+")[0].split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()

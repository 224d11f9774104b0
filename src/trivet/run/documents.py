"""Documents that the run stage reads back: whatever lies there, it is read whole or refused in words."""

from pathlib import Path
from typing import TypeVar

from trivet.host import files
from trivet.model.any_version import read_any_version
from trivet.model.document import read_document

T = TypeVar("T")


def read(kind: type[T], path: Path, *, name: str) -> T | None:
    """The document of the run stage at this path, of whatever version of Trivet; None if there is none.

    Raises: InvalidDocument, MachineError (it cannot be opened).
    """
    content = _content(path)
    return read_any_version(kind, content, name=name) if content is not None else None


def read_exactly(kind: type[T], path: Path, *, name: str) -> T | None:
    """What another stage wrote, all of it known; None if there is none. Raises: as `read`."""
    content = _content(path)
    return read_document(kind, content, name=name) if content is not None else None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.refused(error, f"read {path}") from error

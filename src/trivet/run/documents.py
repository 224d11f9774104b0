"""Documents that the run stage reads back: whatever lies there, it is read whole or refused in words."""

from pathlib import Path
from typing import TypeVar

from trivet.host import files
from trivet.model.document import read_document

T = TypeVar("T")


def read(kind: type[T], path: Path, *, name: str) -> T | None:
    """The document at this path; None if there is none. Raises: InvalidDocument, MachineError (it cannot be opened)."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.refused(error, f"read {path}") from error
    return read_document(kind, content, name=name)

"""Run: a release's processes, kept alive. Standard library only; opens no database, resolves nothing, contacts nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivet.run.code import installed, is_newer, version_of
    from trivet.run.engines.machine import Machine
    from trivet.run.journals import Journals
    from trivet.run.parts import Call, Ran

__all__ = ["Call", "Journals", "Machine", "Ran", "installed", "is_newer", "version_of"]


def __getattr__(name: str) -> object:
    """The doors of the room, opened when they are used: the supervisor itself needs neither."""
    if name == "Machine":
        from trivet.run.engines.machine import Machine

        return Machine
    if name == "Journals":
        from trivet.run.journals import Journals

        return Journals
    if name in ("Call", "Ran"):
        from trivet.run import parts

        return getattr(parts, name)
    if name in ("installed", "is_newer", "version_of"):
        from trivet.run import code

        return getattr(code, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Run: a release's processes, kept alive. Standard library only; opens no database, resolves nothing, contacts nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivet.run.code import installed, is_newer, version_of
    from trivet.run.enclosure import Apartness, examine
    from trivet.run.engines.machine import Machine
    from trivet.run.journals import Journals
    from trivet.run.parts import Call, Ran

__all__ = ["Apartness", "Call", "Journals", "Machine", "Ran", "examine", "installed", "is_newer", "version_of"]


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
    if name in ("Apartness", "examine"):
        from trivet.run import enclosure

        return getattr(enclosure, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Run: a release's processes, kept alive. Standard library only; opens no database, resolves nothing, contacts nothing."""

from importlib import import_module

TYPE_CHECKING = False  # of its own: `typing` takes half a megabyte
if TYPE_CHECKING:
    from trivet.run.code import installed, is_newer, version_of
    from trivet.run.enclosure import Apartness, examine
    from trivet.run.engines.machine import Machine
    from trivet.run.journals import Journals
    from trivet.run.parts import Call, Ran
    from trivet.run.warm import read_warm_s

__all__ = [
    "Apartness",
    "Call",
    "Journals",
    "Machine",
    "Ran",
    "examine",
    "installed",
    "is_newer",
    "read_warm_s",
    "version_of",
]
# The supervisor and the front door are in this room too, and need none of it: each is imported when it is asked for.
_MODULES = {
    "Apartness": "enclosure",
    "Call": "parts",
    "Journals": "journals",
    "Machine": "engines.machine",
    "Ran": "parts",
    "examine": "enclosure",
    "installed": "code",
    "is_newer": "code",
    "read_warm_s": "warm",
    "version_of": "code",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"trivet.run.{_MODULES[name]}"), name)

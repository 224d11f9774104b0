"""What the supervisor leaves out of its memory: 4 of 17 MB, for things that it never does.

`dataclasses` imports `inspect` (and `ast`, `dis`, `tokenize` with it) to write docstrings, which `-OO` takes away again, and
`copy` (and `weakref`) for `asdict`; `pathlib` imports `ntpath`, and `urllib.parse` (and `ipaddress`) for `Path.as_uri`.
Of `typing` and `socket` it needs a small part: plain.py.
"""

import importlib
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from itertools import chain
from types import FunctionType, ModuleType


def leave_out() -> None:
    """These modules are loaded only if something is asked of them that is not here. Call it before any other import."""
    _stand_in("inspect", {"signature": _no_text, "unwrap": _same, "get_annotations": _own_annotations})
    _stand_in("urllib", {"__path__": []})
    _stand_in("urllib.parse", {"quote_from_bytes": None})
    _stand_in("copy", {})
    _stand_in("ntpath", {})
    from trivet.run import plain

    _stand_in("typing", plain.TYPING)
    _stand_in("socket", plain.SOCKET)
    _forget_hints()


def _forget_hints() -> None:
    """What functions say of their types is forgotten as their modules are loaded."""
    whole = SourceFileLoader.exec_module

    def execute(loader: SourceFileLoader, module: ModuleType) -> None:
        whole(loader, module)
        kinds = (each for each in vars(module).values() if isinstance(each, type))
        own = (vars(kind) for kind in kinds if kind.__module__ == module.__name__)
        for function in chain.from_iterable(map(dict.values, (vars(module), *map(dict, own)))):
            if isinstance(function, FunctionType):
                del function.__annotations__

    SourceFileLoader.exec_module = execute  # type: ignore[assignment, method-assign]


def _stand_in(name: str, has: Mapping[str, object]) -> None:
    module = ModuleType(name)

    def load(attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        for standing in (name, name.partition(".")[0]):
            if "__file__" not in vars(sys.modules.get(standing, module)):
                sys.modules.pop(standing, None)
        return getattr(importlib.import_module(name), attribute)

    vars(module).update(has, __getattr__=load)
    sys.modules[name] = module


def _own_annotations(kind: type) -> object:
    return vars(kind).get("__annotations__", {})


def _no_text(_: object, **__: object) -> str:
    return ""


def _same(function: object) -> object:
    return function

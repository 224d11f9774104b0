"""What the supervisor leaves out of its memory: 1.4 of 15 MB, for things that it never does.

`dataclasses` imports `inspect` (and `ast`, `dis`, `tokenize` with it) to write docstrings, which `-OO` takes away again;
`pathlib` imports `urllib.parse` (and `ipaddress`) for `Path.as_uri`.
"""

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType


def leave_out() -> None:
    """These modules are loaded only if something is asked of them that is not here. Call it before any other import."""
    _stand_in("inspect", {"signature": _no_text, "unwrap": _same, "get_annotations": _own_annotations})
    _stand_in("urllib", {"__path__": []})
    _stand_in("urllib.parse", {"quote_from_bytes": None})


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

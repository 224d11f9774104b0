"""What the supervisor leaves out of its memory: 5 of 17 MB, for things that it never does.

`pathlib` imports `ntpath`, and `urllib.parse` (and `ipaddress`) for `Path.as_uri`. Of `typing` and `socket` it needs a small
part (plain.py), and of `dataclasses` the classes without what is written for each (records.py); the lines of its code when
something goes wrong (lines.py).
"""

import importlib
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from itertools import chain
from types import CodeType, FunctionType, ModuleType


def leave_out() -> None:
    """These modules are loaded only if something is asked of them that is not here. Call it before any other import."""
    _stand_in("urllib", {"__path__": []})
    _stand_in("urllib.parse", {"quote_from_bytes": None})
    _stand_in("ntpath", {})
    from trivet.run import lines, plain, records

    _forget_lines(lines)
    _stand_in("dataclasses", records.DATACLASSES)
    _stand_in("trivet.model.frozen", {"frozen": records.frozen})
    _stand_in("typing", plain.TYPING)
    _stand_in("socket", plain.SOCKET)
    _stand_in("signal", plain.SIGNAL)
    _stand_in("heapq", plain.HEAPQ)
    _forget_hints()


def _forget_lines(lines: ModuleType) -> None:
    """Code is loaded without its lines from now on; who shows an error finds them."""
    whole = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        code = whole(loader, name)
        return None if code is None else lines.without(code)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
    sys.excepthook = lines.Lines(whole).show


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

"""Values: dataclasses that are compared by what they hold and never change, and that cost nothing to declare.

For each class `dataclass(frozen=True, slots=True)` compiles seven functions while its module is loaded: with 300 classes
that was half of the time until a command began (docs/decisions/0030). Here the same closures serve every class, and
`__init__`, the one that has to be written for it, is compiled when the first value is made.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_Kind = TypeVar("_Kind", bound=type)
_put = object.__setattr__


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: _Kind) -> _Kind:
    """The class as a frozen dataclass with slots; `dataclasses.fields` and `replace` know it as one."""
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(kind)
    every = fields(made)
    compared = _getter(each.name for each in every if each.compare)

    def equal(self: object, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(compared(self))

    def initialise(self: object, *given: object, **named: object) -> None:
        made.__init__ = _write_init(made, every)
        made.__init__(self, *given, **named)

    made.__init__, made.__eq__, made.__hash__ = initialise, equal, hashed
    made.__repr__, made.__setattr__, made.__delattr__ = _show, _refuse_change, _refuse_removal
    return made  # type: ignore[no-any-return]


def _write_init(kind: type, every: tuple["Field[Any]", ...]) -> Callable[..., None]:
    """`def __init__(self, a, b=…): put(self, "a", a); put(self, "b", b)`, in the words of the class's fields."""
    known: dict[str, Any] = {"put": _put, "MISSING": MISSING}
    parameters, lines = ["self"], []
    for each in every:
        name = each.name
        if each.default_factory is not MISSING:
            known[f"make_{name}"] = each.default_factory
            parameters.append(f"{name}=MISSING")
            lines.append(f"  put(self, {name!r}, make_{name}() if {name} is MISSING else {name})")
            continue
        if each.default is not MISSING:
            known[f"default_{name}"] = each.default
        parameters.append(name if each.default is MISSING else f"{name}=default_{name}")
        lines.append(f"  put(self, {name!r}, {name})")
    made: dict[str, Callable[..., None]] = {}
    exec(f"def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or "  pass"), known, made)
    made["__init__"].__qualname__ = f"{kind.__qualname__}.__init__"
    return made["__init__"]


def _getter(names: Iterable[str]) -> Callable[[object], object]:
    wanted = tuple(names)
    return attrgetter(*wanted) if wanted else lambda _: ()


def _show(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse_change(_: object, name: str, __: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_removal(_: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")

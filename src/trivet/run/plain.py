"""Plain stand-ins for `typing`, `socket`, `signal` and `heapq`, which take 0.8 MB: as much of them as the supervisor uses."""

import _heapq
import _signal  # type: ignore[import-not-found]
import _socket
import struct
import sys
import types
from collections.abc import Mapping

_DESCRIPTOR_BYTES = struct.calcsize("i")


class _Socket(_socket.socket):
    """A socket, whose family and type are numbers."""

    def __enter__(self) -> "_Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def accept(self) -> tuple["_Socket", object]:
        """As `socket.socket.accept`."""
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return _Socket(self.family, self.type, self.proto, fileno=descriptor), address


def _send_fds(sender: _Socket, buffers: tuple[bytes, ...], descriptors: tuple[int, ...]) -> int:
    packed = struct.pack(f"{len(descriptors)}i", *descriptors)
    return sender.sendmsg(buffers, [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])


def _recv_fds(receiver: _Socket, size: int, most: int, flags: int = 0) -> tuple[bytes, list[int], int, object]:
    room = _socket.CMSG_LEN(most * _DESCRIPTOR_BYTES)
    data, told, flags, address = receiver.recvmsg(size, room, flags)
    packed = b"".join(
        each[: len(each) - len(each) % _DESCRIPTOR_BYTES]
        for level, kind, each in told
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
    )
    return data, list(struct.unpack(f"{len(packed) // _DESCRIPTOR_BYTES}i", packed)), flags, address


class _Signals:
    """A signal, by its number. Raises: ValueError: there is no such signal."""

    _names: dict[int, str] = {}  # noqa: RUF012 - typing is not there yet

    def __init__(self, number: int) -> None:
        if not self._names:
            signals = (name for name in vars(_signal) if name.startswith("SIG") and "_" not in name)
            self._names.update((vars(_signal)[name], name) for name in sorted(signals, reverse=True))
        if number not in self._names:
            raise ValueError(number)
        self.name = self._names[number]


class _Open:
    """Stands for what says something to the type checker only."""

    def __class_getitem__(cls, _: object) -> "type[_Open]":
        return cls


def _same(kind: type) -> type:
    return kind


def _get_origin(kind: object) -> object:
    return types.UnionType if isinstance(kind, types.UnionType) else getattr(kind, "__origin__", None)


def _get_args(kind: object) -> tuple[object, ...]:
    return getattr(kind, "__args__", ())


def _get_type_hints(kind: type) -> dict[str, object]:
    hints: dict[str, object] = {}
    for each in reversed(kind.__mro__):
        around = vars(sys.modules[each.__module__])
        for name, hint in vars(each).get("__annotations__", {}).items():
            hints[name] = eval(hint, around) if isinstance(hint, str) else hint
    return hints


def _kind_of(_: str, kind: type = object, **__: object) -> type:
    return kind


def _cast(_: object, value: object) -> object:
    return value


TYPING: Mapping[str, object] = {
    **dict.fromkeys(("Any", "NoReturn", "Protocol", "Generic", "ClassVar", "IO", "BinaryIO", "_GenericAlias"), _Open),
    "TYPE_CHECKING": False,
    "dataclass_transform": lambda **_: _same,
    "Union": types.UnionType,
    "TypeVar": _kind_of,
    "NewType": _kind_of,
    "cast": _cast,
    "get_args": _get_args,
    "get_origin": _get_origin,
    "get_type_hints": _get_type_hints,
}
SOCKET: Mapping[str, object] = {
    **{name: value for name, value in vars(_socket).items() if not name.startswith("__")},
    "socket": _Socket,
    "AddressFamily": int,
    "SocketKind": int,
    "send_fds": _send_fds,
    "recv_fds": _recv_fds,
}
SIGNAL: Mapping[str, object] = {
    **{name: value for name, value in vars(_signal).items() if not name.startswith("__")},
    "Signals": _Signals,
}
HEAPQ: Mapping[str, object] = {name: value for name, value in vars(_heapq).items() if not name.startswith("__")}

"""Listening sockets that share an address (SO_REUSEPORT), and the program that picks one of them for each connection.

The kernel keeps the sockets of an address in an array: one that begins to listen is appended, and the last takes the place
of one that stops. A classic BPF program, attached to any of them, says which index gets a new connection; no privilege is
needed (socket(7), SO_ATTACH_REUSEPORT_CBPF, Linux 4.6). Whoever else of our user listens there too is given none, unless he
attaches a program of his own.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_SO_ATTACH_REUSEPORT_CBPF = 51
_INSTRUCTION = struct.Struct("HBBI")  # struct sock_filter: code, jump if true, jump if false, k
_PROGRAM = struct.Struct("HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP")  # struct sock_fprog
_MOST_INSTRUCTIONS = 4096
_LOAD_4, _LOAD_2, _LOAD_1 = 0x20, 0x28, 0x30  # BPF_LD | BPF_ABS | BPF_W, _H, _B
_JUMP_IF, _SHIFT_RIGHT, _MODULO, _RETURN = 0x15, 0x74, 0x94, 0x06
_NETWORK_HEADER = -0x100000  # SKF_NET_OFF
_RANDOM = -0x1000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_IPV4_WITHOUT_OPTIONS = 0x45
_TCP_INFO_BYTES, _UNACKED_AT = 104, 24  # of a listening socket: how many connections wait to be accepted
_TCP_LISTEN = 10
_LISTEN_IN_PROC = "0A"

Source = tuple[str, int]
Instruction = tuple[int, int, int, int]


def listen(address: tuple[str, int], backlog: int, *, joins: bool) -> socket.socket:
    """A socket that listens on the address; accepted connections do not delay small packets.

    One that `joins` listens beside others of this user, which were opened up for it, and is open itself. Any other is alone
    there, and stays so: whoever joined it could attach a program that gives him all connections.

    Raises: OSError (EADDRINUSE: somebody listens there, or one that it would join does not share).
    """
    listening = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, joins)
        listening.bind(address)
        if not joins:
            _make_group(listening)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening


def open_up(listening: socket.socket) -> None:
    """Others of this user may listen there too. It cannot be taken back: once one has, the kernel lets more of them."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _make_group(bound: socket.socket) -> None:
    """The socket, which does not listen yet, has a group of its own that others can join once it is opened up.

    Where the kernel takes no program there will be no others.
    """
    open_up(bound)
    with contextlib.suppress(OSError):
        direct(bound, (0,), {})
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def direct(listening: socket.socket, indexes: Sequence[int], sources: Mapping[Source, int]) -> None:
    """New connections to the address go to one of these indexes, by chance; but those from a source, to its own.

    Raises: OSError (the kernel takes no such program, or the socket was opened without SO_REUSEPORT).
    """
    instructions = program(indexes, sources)
    if len(instructions) > _MOST_INSTRUCTIONS:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in instructions))
    asked = _PROGRAM.pack(len(instructions), ctypes.addressof(code))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, asked)


def refusal() -> str | None:
    """Why this machine takes no such program; None: it does."""
    try:
        with listen(("127.0.0.1", 0), 1, joins=False) as listening:
            direct(listening, (0,), {})
    except OSError as error:
        return error.strerror or str(error)
    return None


def program(indexes: Sequence[int], sources: Mapping[Source, int]) -> tuple[Instruction, ...]:
    """The instructions of `direct`. Pure. What cannot be read of a packet makes the kernel choose index 0."""
    picked = [each for source, index in sources.items() for each in _pick(source, index)]
    return (*picked, *_spread(indexes))


def stop_listening(listening: socket.socket) -> None:
    """Nobody is accepted from the socket any more, whoever else has it open; its place in the array is free."""
    try:
        listening.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def is_listening(listening: socket.socket) -> bool:
    """Whether the socket has its place in the array."""
    return listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_LISTEN


def waiting(listening: socket.socket) -> int:
    """How many connections wait to be accepted from this socket."""
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("I", told, _UNACKED_AT)[0])


def strangers(sockets: Iterable[socket.socket]) -> tuple[str, ...]:
    """The inodes of sockets that listen on the very address of these, and are none of them."""
    known = {str(os.fstat(each.fileno()).st_ino): each for each in sockets}
    told = [fields for table in ("/proc/net/tcp", "/proc/net/tcp6") for fields in _read_table(table)]
    addresses = {fields[1] for fields in told if fields[9] in known}
    return tuple(fields[9] for fields in told if fields[1] in addresses and fields[9] not in known)


def _pick(source: Source, index: int) -> tuple[Instruction, ...]:
    host, port = source
    words = struct.unpack(">4I" if ":" in host else ">I", socket.inet_pton(_family(host), host))
    header, words_at, port_at = (40, 8, 40) if len(words) == 4 else (20, 12, 20)
    tests = [*((_LOAD_4, words_at + 4 * n, word) for n, word in enumerate(words)), (_LOAD_2, port_at, port)]
    left = 2 * len(tests) + 1  # instructions until past the return
    first: tuple[Instruction, ...] = ((_LOAD_1, 0, 0, _NETWORK_HEADER & 0xFFFFFFFF),)
    if header == 20:
        first += ((_JUMP_IF, 0, left, _IPV4_WITHOUT_OPTIONS),)
    else:
        first += ((_SHIFT_RIGHT, 0, 0, 4), (_JUMP_IF, 0, left, 6))
    body: list[Instruction] = []
    for load, at, value in tests:
        left -= 2
        body += [(load, 0, 0, (_NETWORK_HEADER + at) & 0xFFFFFFFF), (_JUMP_IF, 0, left, value)]
    return (*first, *body, (_RETURN, 0, 0, index))


def _spread(indexes: Sequence[int]) -> tuple[Instruction, ...]:
    *others, last = indexes
    if not others:
        return ((_RETURN, 0, 0, last),)
    chance: tuple[Instruction, ...] = ((_LOAD_4, 0, 0, _RANDOM & 0xFFFFFFFF), (_MODULO, 0, 0, len(indexes)))
    cases = [each for n, index in enumerate(others) for each in ((_JUMP_IF, 0, 1, n), (_RETURN, 0, 0, index))]
    return (*chance, *cases, (_RETURN, 0, 0, last))


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _read_table(path: str) -> list[list[str]]:
    try:
        lines = Path(path).read_text().splitlines()[1:]
    except OSError:
        return []
    return [fields for fields in map(str.split, lines) if fields[3] == _LISTEN_IN_PROC]

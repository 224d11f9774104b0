"""TCP connections as the kernel knows them: whose they are, what waits in them to be read, when they were last sent to.

Asked by NETLINK_SOCK_DIAG, sock_diag(7): the kernel picks out the port, so that it costs little where there are many.
"""

import socket
import struct
from collections.abc import Iterator

from trivet.model.frozen import frozen

UNACCEPTED = "0"
_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3  # SOCK_DIAG_BY_FAMILY, NLMSG_ERROR, NLMSG_DONE
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2 with a socket's id of zeros
_ANSWER = struct.Struct("=4B4s44xIIIII")  # struct inet_diag_msg
_PORTS = struct.Struct("!HH")
_ATTRIBUTE = struct.Struct("=HH")
_BYTECODE, _INFO = 1, 2  # INET_DIAG_REQ_BYTECODE, INET_DIAG_INFO
_OPERATION = struct.Struct("=BBH")  # struct inet_diag_bc_op
_AT_LEAST, _AT_MOST = 2, 3  # INET_DIAG_BC_S_GE, INET_DIAG_BC_S_LE: of the port at this end
_ESTABLISHED, _CLOSE_WAIT = 1 << 1, 1 << 8
_LAST_SENT_AT, _DATA_SENT_AT = 44, 156  # in struct tcp_info: tcpi_last_data_sent (ms), tcpi_data_segs_out
_NUMBER = struct.Struct("=I")
_READ_BYTES = 1 << 16


@frozen
class Connection:
    """One end of a connection. `inode` names its socket; UNACCEPTED: nobody has one yet.

    `unread_bytes` have come and wait to be read; it was sent to `sent_s` seconds ago, None: never, or that is not known.
    """

    peer_port: int
    inode: str
    unread_bytes: int
    sent_s: float | None


def connections_of(port: int) -> tuple[Connection, ...]:
    """All that are open at this TCP port of this machine, also if the other end sends no more. Raises: OSError."""
    found: list[Connection] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as asked:
        asked.settimeout(1)
        for family in (socket.AF_INET, socket.AF_INET6):
            asked.sendall(_request(family, port))
            found += map(_connection, _answers(asked))
    return tuple(found)


def _request(family: int, port: int) -> bytes:
    wanted = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED | _CLOSE_WAIT)
    number = _OPERATION.pack(0, 0, port)
    # To the next test if it holds, past the end (which refuses) if not; the end itself accepts.
    tests = _OPERATION.pack(_AT_LEAST, 8, 20) + number + _OPERATION.pack(_AT_MOST, 8, 12) + number
    body = wanted + _ATTRIBUTE.pack(_ATTRIBUTE.size + len(tests), _BYTECODE) + tests
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST_DUMP, 0, 0) + body


def _answers(asked: socket.socket) -> Iterator[bytes]:
    """The bodies of the messages that the kernel answers with, until it is done."""
    while True:
        data = asked.recv(_READ_BYTES)
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, *_ = _HEADER.unpack_from(data, at)
            body = data[at + _HEADER.size : at + size]
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not tell of connections")
            yield body
            at += (size + 3) & ~3


def _connection(body: bytes) -> Connection:
    *_, ports, _expires, unread, _unsent, _user, inode = _ANSWER.unpack_from(body)
    return Connection(_PORTS.unpack(ports)[1], str(inode), unread, _sent_s(body[_ANSWER.size :]))


def _sent_s(attributes: bytes) -> float | None:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        size, kind = _ATTRIBUTE.unpack_from(attributes, at)
        info = attributes[at + _ATTRIBUTE.size : at + size]
        if kind == _INFO and len(info) >= _DATA_SENT_AT + _NUMBER.size:
            has_sent = _NUMBER.unpack_from(info, _DATA_SENT_AT)[0] > 0  # the time is that of its beginning before
            return _NUMBER.unpack_from(info, _LAST_SENT_AT)[0] / 1000 if has_sent else None
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return None

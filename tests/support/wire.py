"""HTTP as bytes on real sockets: a client that sends what it is given, and backends that answer what they are given."""

import contextlib
import socket
import threading
from collections.abc import Callable

DEADLINE_S = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection on which nothing waits for longer than the deadline."""
    return socket.create_connection(address, timeout=DEADLINE_S)


def exchange(address: tuple[str, int], raw: bytes) -> bytes:
    """All that comes back for these bytes, until the other end closes."""
    with connect(address) as connection:
        connection.sendall(raw)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other end closes. Raises: ConnectionResetError, TimeoutError."""
    pieces = []
    while data := connection.recv(65536):
        pieces.append(data)
    return b"".join(pieces)


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """What comes up to and with the mark, read byte by byte, so that nothing behind it is taken."""
    data = b""
    while not data.endswith(mark):
        byte = connection.recv(1)
        if not byte:
            raise EOFError(f"closed after {data!r}")
        data += byte
    return data


def read_answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """(head, body) of an answer with a Content-Length."""
    head = read_until(connection, b"\r\n\r\n")
    return head, read_exactly(connection, length_of(head))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 65536))
        if not piece:
            raise EOFError(f"closed after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def length_of(head: bytes) -> int:
    """The Content-Length of a head, or 0."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Backend:
    """A server of real sockets: `serve` is called in a thread for each connection, which is closed afterwards."""

    def __init__(self, serve: Callable[[socket.socket], None], port: int = 0) -> None:
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = int(self._listening.getsockname()[1])
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Nothing listens on the port, every connection is closed."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(DEADLINE_S)
        self._listening.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(DEADLINE_S)
            self.accepted += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            self._serve(connection)
        self._open.discard(connection)


class Recorder:
    """Serves keep-alive connections with one answer for everything, and keeps the requests as they came."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.cut_short: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        while True:
            head = read_until(connection, b"\r\n\r\n")
            try:
                body = read_body(connection, head)
            except EOFError:
                self.cut_short.append(head)
                return
            self.requests.append(head + body)
            connection.sendall(self.answer)


def read_body(connection: socket.socket, head: bytes) -> bytes:
    """A request's body, chunks and all, as it came."""
    if b"transfer-encoding: chunked" in head.lower():
        body = b""
        while not body.endswith(b"0\r\n"):
            body += (line := read_until(connection, b"\r\n"))
            body += read_exactly(connection, int(line, 16) + 2) if int(line, 16) else b""
        while not body.endswith(b"\r\n\r\n"):
            body += read_until(connection, b"\r\n")
        return body
    return read_exactly(connection, length_of(head))

"""Serves /metrics over HTTP/1.1, to whoever connects: one answer a connection, from the supervisor's own loop.

Nobody can make it wait or grow: few connections, each for a short time, and small requests.
"""

import contextlib
import errno
import socket
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trivet.errors import MachineError, PortTaken
from trivet.host.files import refused
from trivet.host.sockets import connect_unix, listen_unix
from trivet.model.endpoint import Endpoint
from trivet.run.supervisor.exposition import CONTENT_TYPE
from trivet.run.supervisor.loop import Loop

_MOST_SCRAPERS = 32  # then the oldest is sent away
_WITHIN_S = 5.0  # from connecting to the last byte
_LONGEST_HEAD = 8192
_BACKLOG = 64
_READ_BYTES = 16384
_PATH = b"/metrics"

Tell = Callable[[bytes | None], None]


class Scraping:
    """Listens at the endpoint; `gather` hands the text to whoever asks, when it has it."""

    def __init__(self, loop: Loop, endpoint: Endpoint, gather: Callable[[Tell], None]) -> None:
        """Raises: PortTaken, MachineError."""
        self.loop = loop
        self.endpoint = endpoint
        self.gather = gather
        self._scrapers: dict[Scraper, float] = {}  # until when, the oldest first
        self._is_sweeping = False
        self._listening = _listen(endpoint)
        loop.watch(self._listening.fileno(), self._accept)

    def close(self) -> None:
        """Nobody is served any more."""
        for scraper in tuple(self._scrapers):
            scraper.leave()
        self.loop.forget(self._listening.fileno())
        self._listening.close()
        if self.endpoint.path:
            with contextlib.suppress(OSError):
                Path(self.endpoint.path).unlink()

    def forget(self, scraper: "Scraper") -> None:
        """It has gone."""
        self._scrapers.pop(scraper, None)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # descriptors are short, and what waits to be accepted stays readable
            self.loop.forget(self._listening.fileno())
            self.loop.after(1.0, self._resume)
            return
        connection.settimeout(0)
        self._scrapers[Scraper(self, connection)] = time.monotonic() + _WITHIN_S
        if len(self._scrapers) > _MOST_SCRAPERS:
            next(iter(self._scrapers)).leave()
        self._sweep_later()

    def _resume(self) -> None:
        if self._listening.fileno() >= 0:
            self.loop.watch(self._listening.fileno(), self._accept)

    def _sweep_later(self) -> None:
        """One alarm for all, however many come and go; none while nobody is there."""
        if self._scrapers and not self._is_sweeping:
            self._is_sweeping = True
            self.loop.after(max(0.0, next(iter(self._scrapers.values())) - time.monotonic()), self._sweep)

    def _sweep(self) -> None:
        self._is_sweeping = False
        now = time.monotonic()
        for scraper, until in tuple(self._scrapers.items()):
            if until <= now:
                scraper.leave()
        self._sweep_later()


class Scraper:
    """One connection: it asks, is answered, and closes."""

    def __init__(self, scraping: Scraping, connection: socket.socket) -> None:
        self._scraping = scraping
        self._connection = connection
        self._head = b""
        self._unsent = memoryview(b"")
        scraping.loop.watch(connection.fileno(), self._read_head)

    def leave(self) -> None:
        """The connection is closed."""
        self._scraping.forget(self)
        self._unsent = memoryview(b"")
        if self._connection.fileno() >= 0:
            self._scraping.loop.forget(self._connection.fileno())
            self._connection.close()

    def _read_head(self) -> None:
        data = self._read()
        if data is None:
            return
        self._head += data
        is_whole = b"\r\n\r\n" in self._head or b"\n\n" in self._head
        if not data or (len(self._head) > _LONGEST_HEAD and not is_whole):
            self.leave()
        elif is_whole:
            self._scraping.loop.watch(self._connection.fileno(), self._read_on)
            self._answer(self._head.split(b"\n", 1)[0].split())

    def _answer(self, words: list[bytes]) -> None:
        self._head = b""
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            self._say("400 Bad Request", b"This is no request of HTTP/1.1.\n")
        elif words[0] not in (b"GET", b"HEAD"):
            self._say("405 Method Not Allowed", b"Metrics are read with GET.\n", "Allow: GET, HEAD\r\n")
        elif words[1].partition(b"?")[0] != _PATH:
            self._say("404 Not Found", b"The metrics are at /metrics.\n")
        else:
            self._scraping.gather(partial(self._say_text, with_body=words[0] == b"GET"))

    def _say_text(self, text: bytes | None, *, with_body: bool) -> None:
        if text is None:
            self._say("500 Internal Server Error", b"The supervisor stumbled; its log says more.\n")
        else:
            self._say("200 OK", text, with_body=with_body)

    def _say(self, status: str, body: bytes, more: str = "", *, with_body: bool = True) -> None:
        if self._connection.fileno() < 0:
            return
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE if status.startswith('200') else 'text/plain'}\r\n"
            f"Content-Length: {len(body)}\r\n{more}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        ).encode()
        self._unsent = memoryview(head + body if with_body else head)
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
            self._connection.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._scraping.loop.watch(self._connection.fileno(), self._write, writable=True)
            return
        except OSError:
            self.leave()
            return
        self._scraping.loop.watch(self._connection.fileno(), self._read_on)

    def _read_on(self) -> None:
        """What comes after the request is of no interest, but for its end: closing before that could cut the answer."""
        if self._read() == b"":
            self.leave()

    def _read(self) -> bytes | None:
        try:
            return self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""


def _listen(endpoint: Endpoint) -> socket.socket:
    try:
        return _listen_at_path(Path(endpoint.path)) if endpoint.path else _listen_at_port(endpoint)
    except OSError as error:
        raise refused(error, f"serve metrics at {endpoint}") from error


def _listen_at_port(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((endpoint.host, endpoint.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise _taken(endpoint) from error
        raise
    listening.settimeout(0)
    return listening


def _listen_at_path(path: Path) -> socket.socket:
    """A socket that nobody listens at any more is replaced; nothing else that lies there is."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise MachineError(f"{path} is there, and is no socket.", hint="Choose another path.")
        with contextlib.suppress(ConnectionRefusedError):
            connect_unix(path, 1.0).close()
            raise _taken(Endpoint(path=str(path)))
    return listen_unix(path, backlog=_BACKLOG)


def _taken(endpoint: Endpoint) -> PortTaken:
    return PortTaken(f"Somebody else listens at {endpoint}.", hint="Choose another place, or end whoever does.")

"""`python clients.py PORT SEED`: eight clients that ask 127.0.0.1:PORT over and over, and count what they get.

Half of them keep their connection, half open one for each request; half GET, half POST a body of a random size. The app
answers `RELEASE SHA256-OF-THE-BODY PATH` and the body (`support.loaded`): each answer is compared with that, byte by byte.
Nothing is asked twice: whatever is no whole and right answer of 200 is a failure. Each line on standard input is answered
by what was counted so far, as JSON; at its end the clients finish the request they are at.
"""

import hashlib
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from typing import BinaryIO

PATIENCE_S = 30.0
BETWEEN_S = 0.001  # the machine has other things to do, too
AFTER_FAILURE_S = 0.01  # one that is refused tries again, not as often as it can
SIZES = (1, 700, 9_000, 70_000)
KINDS = tuple((keeps, posts) for keeps in (True, False) for posts in (True, False)) * 2
MANY = 20


class Failed(Exception):
    """A request got no whole and right answer; the text is the kind of failure."""


class Tally:
    """Good answers by release, failures by kind, and the first of these in detail."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._details: list[str] = []

    def count_answer(self, release: str) -> None:
        with self._lock:
            self._answers[release] += 1

    def count_failure(self, kind: str, detail: str) -> None:
        with self._lock:
            self._failures[kind] += 1
            if len(self._details) < MANY:
                self._details.append(f"{kind}: {detail}")

    def to_json(self) -> str:
        with self._lock:
            return json.dumps({"answers": self._answers, "failures": self._failures, "details": self._details})


class Client:
    """One client; `name` makes its paths its own, so that an answer to another cannot pass."""

    def __init__(self, name: str, port: int, kind: tuple[bool, bool], seed: str) -> None:
        self._name = name
        self._port = port
        self._keeps, self._posts = kind
        self._random = random.Random(f"{seed} {name}")
        self._connection: socket.socket | None = None
        self._stream: BinaryIO | None = None
        self._count = 0

    def run(self, tally: Tally, stopping: threading.Event) -> None:
        """Until it is stopped."""
        while not stopping.is_set():
            began, was_open = time.monotonic(), self._connection is not None
            try:
                tally.count_answer(self._ask())
                time.sleep(BETWEEN_S)
            except (Failed, OSError) as error:
                kind = _kind_of(error)
                on = f"{'kept' if self._keeps else 'new'}{'' if was_open else ', just opened'}"
                tally.count_failure(
                    kind, f"{self._name} {on}, {time.monotonic() - began:.3f} s after it asked at {time.time():.3f}"
                )
                self._close()
                stopping.wait(AFTER_FAILURE_S)
        self._close()

    def _ask(self) -> str:
        """The release that answered. Raises: Failed, OSError."""
        self._count += 1
        path = f"/{self._name}/{self._count}"
        body = self._random.randbytes(self._random.choice(SIZES)) if self._posts else b""
        connection, stream = self._open()
        connection.sendall(self._head(path, len(body)) + body)
        status, fields, content = _read_answer(stream)
        if status != 200:
            raise Failed(f"status {status}")
        release, _, rest = content.partition(b" ")
        if rest != f"{hashlib.sha256(body).hexdigest()} {path}\n".encode() + body:
            raise Failed("wrong content")
        if not self._keeps or fields.get(b"connection", b"").lower() == b"close":
            self._close()
        return release.decode()

    def _head(self, path: str, size: int) -> bytes:
        lines = [f"{'POST' if self._posts else 'GET'} {path} HTTP/1.1", "Host: shop"]
        lines += [f"Content-Length: {size}"] if self._posts else []
        lines += [] if self._keeps else ["Connection: close"]
        return "\r\n".join((*lines, "", "")).encode()

    def _open(self) -> tuple[socket.socket, BinaryIO]:
        if self._connection is None or self._stream is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._connection.makefile("rb")
        return self._connection, self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._connection is not None:
            self._connection.close()
        self._connection = self._stream = None


def _kind_of(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "reset"
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)


def _read_answer(stream: BinaryIO) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields by their names in lower case, and content. Raises: Failed, OSError."""
    first = stream.readline()
    if not first:
        raise Failed("closed without an answer")
    fields: dict[bytes, bytes] = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    if line != b"\r\n" or b"content-length" not in fields:
        raise Failed("cut in the head")
    content = stream.read(size := int(fields[b"content-length"]))
    if len(content) < size:
        raise Failed("cut in the body")
    return int(first.split()[1]), fields, content


def main(port: int, seed: str) -> None:
    """Until standard input ends."""
    tally, stopping = Tally(), threading.Event()
    clients = [
        Client(f"{'post' if kind[1] else 'get'}-{number}", port, kind, seed) for number, kind in enumerate(KINDS)
    ]
    threads = [threading.Thread(target=client.run, args=(tally, stopping)) for client in clients]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        if line.startswith("stop"):
            stopping.set()
            for thread in threads:
                thread.join()
        print(tally.to_json(), flush=True)
    stopping.set()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""The front door's process: from its folder to the loop that never ends by itself."""

import contextlib
import fcntl
import os
import resource
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from trivet.host.key import Guard, make_key
from trivet.host.sockets import listen_unix
from trivet.run.door.backend import Backend
from trivet.run.door.control import Answer, Control, Json
from trivet.run.door.door import Door
from trivet.run.door.kept import Kept
from trivet.run.door.listener import Room
from trivet.run.door.loop import Loop

_SPARE_DESCRIPTORS = 64
_QUIET_S = 1.0
_ALREADY_RUNNING = 75


class Log:
    """Trouble, and nothing else: one line each on standard error, the same line at most once a second."""

    def __init__(self) -> None:
        self._last = ""
        self._last_at = 0.0

    def write(self, line: str) -> None:
        now = time.monotonic()
        if line != self._last or now - self._last_at > _QUIET_S:
            self._last, self._last_at = line, now
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with contextlib.suppress(OSError):  # a full disk: nobody hears of the trouble, but the door stays open
                os.write(2, f"{stamp} {line}\n".encode())


class Server:
    """What the supervisor's requests do, by their names."""

    def __init__(self, folder: Path) -> None:
        log = Log()
        self.loop = Loop(log.write)
        self._door = Door(self.loop, Room(_room_for_clients(), log.write), self._tell_idle)
        self._kept = Kept()
        make_key(folder)
        entrance = listen_unix(folder / "door.sock"), Guard(folder, log.write)
        self._control = Control(self.loop, entrance, self._handle, self._after)
        self._verbs = {
            "open": self._open,
            "route": self._route,
            "cut": self._cut,
            "close": self._close,
            "listeners": self._listeners,
            "keep": self._keep,
            "kept": self._list_kept,
            "status": self._status,
            "end": self._end,
        }

    def _handle(self, request: Json, fds: list[int]) -> Answer:
        verb = self._verbs.get(str(request.get("do")))
        try:
            if verb is None:
                raise ValueError(f"the front door does not know how to {request.get('do')!r}")
            return verb(request, fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _after(self, request: Json) -> None:
        """Events of what a request did come after its answer."""
        if request["do"] == "route":
            self._door.report_idle(str(request["deploy"]))
        elif request["do"] == "end":
            self.loop.stop()

    def _tell_idle(self, deploy: str, backend: Backend) -> None:
        counts = {"drained": backend.drained, "cut": backend.cut_off}
        self._control.emit({"event": "idle", "deploy": deploy, "port": backend.port, **counts})

    def _open(self, request: Json, fds: list[int]) -> Answer:
        listening = socket.socket(fileno=os.dup(fds[0]))
        self._door.open(_text(request, "deploy"), (_text(request, "host"), _number(request, "port")), listening)
        return {}, ()

    def _route(self, request: Json, fds: list[int]) -> Answer:
        backends = request["backends"]
        if not isinstance(backends, list):
            raise TypeError("backends is no list")
        identities = [
            (_text(backend, "process"), _number(backend, "release"), _number(backend, "port")) for backend in backends
        ]
        host = _text({"host": "127.0.0.1", **request}, "host")
        self._door.route(_text(request, "deploy"), identities, stopped=request.get("stopped") is True, host=host)
        return {}, ()

    def _cut(self, request: Json, fds: list[int]) -> Answer:
        left = self._door.cut(_text(request, "deploy"), _number(request, "port"))
        return {"drained": sum(each.drained for each in left), "cut": sum(each.cut_off for each in left)}, ()

    def _close(self, request: Json, fds: list[int]) -> Answer:
        address = (_text(request, "host"), _number(request, "port")) if "port" in request else None
        self._door.close(_text(request, "deploy"), address)
        return {}, ()

    def _listeners(self, request: Json, fds: list[int]) -> Answer:
        listeners = self._door.listeners()
        doors = [{"deploy": name, "host": host, "port": port} for name, (host, port), _ in listeners]
        return {"doors": doors}, [fd for _, _, fd in listeners]

    def _keep(self, request: Json, fds: list[int]) -> Answer:
        place = _text(request, "deploy"), _text(request, "host"), _number(request, "port")
        self._kept.keep(place, _texts(request, "names"), dict(zip(_texts(request, "new"), fds, strict=True)))
        return {}, ()

    def _list_kept(self, request: Json, fds: list[int]) -> Answer:
        return self._kept.listed(_number(request, "from"))

    def _status(self, request: Json, fds: list[int]) -> Answer:
        return {"pid": os.getpid(), **self._door.status()}, ()

    def _end(self, request: Json, fds: list[int]) -> Answer:
        return {}, ()


def main(arguments: Sequence[str]) -> int:
    """The front door of this folder runs until it is told to end; 75 if one is running already."""
    folder = Path(arguments[0])
    lock = os.open(folder / "door.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _ALREADY_RUNNING
    _write_to(folder / "door.log")
    os.chdir("/")
    Server(folder).loop.run()
    return 0


def _write_to(log: Path) -> None:
    """Standard output and error go to the log, so that even the interpreter's last words are kept."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _room_for_clients() -> int:
    """The soft limit of descriptors is raised to the hard one; each client may need one of them for a backend."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max((hard - _SPARE_DESCRIPTORS) // 2, 1)


def _text(values: Json, key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _texts(values: Json, key: str) -> list[str]:
    value = values[key]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{key} is no list of texts")
    return value


def _number(values: Json, key: str) -> int:
    value = values[key]
    if not isinstance(value, int):
        raise TypeError(f"{key} is no number")
    return value

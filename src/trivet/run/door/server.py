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
from trivet.run.door.control import Answer, Connection, Control
from trivet.run.door.deploy import Deploy, Target
from trivet.run.door.door import Door
from trivet.run.door.handover import Handover
from trivet.run.door.kept import Kept
from trivet.run.door.listener import Room
from trivet.run.door.loop import Loop
from trivet.run.door.option import BESIDE
from trivet.run.door.predecessor import Counts, Predecessor
from trivet.run.door.values import Json, inner, many, number, text, texts

_SPARE_DESCRIPTORS = 64
_QUIET_S = 1.0
_ALREADY_RUNNING = 75
_NO_HEIR = 70
_NOTHING: Json = {"connections": 0, "requests": 0, "held": 0, "refused": 0, "stopped": False, "backends": []}
_FORWARDED = frozenset(("open", "route", "cut", "close", "keep", "end"))


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
    """What the supervisor's requests do, by their names. The `lock` is what makes this door the only one.

    `version` says which code this is; a door that was there before (`predecessor`) is asked to do the same.
    """

    def __init__(self, folder: Path, lock: int, version: str) -> None:
        self._log = log = Log()
        self._lock = lock
        self._version = version
        self._predecessor: Predecessor | None = None
        self._handover: Handover | None = None
        self.loop = Loop(log.write)
        self._door = Door(self.loop, Room(_room_for_clients(), log.write), self._tell_idle)
        self._kept = Kept()
        make_key(folder)
        path = folder / "door.sock"
        entrance = path, listen_unix(path), Guard(folder, log.write)
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
            "hand_over": self._hand_over,
            "ready": self._be_relieved,
            "took": self._took,
            "end": self._end,
        }

    def succeed(self, predecessor: Predecessor, inherited: Json, listening: Sequence[int]) -> None:
        """This door is open for all that the one before was open for, and that one lets go. Raises: OSError."""
        doors, routes = many(inherited, "doors"), many(inherited, "routes")
        for request, fd in zip(doors, listening, strict=True):
            self._handle({"do": "open", **request}, [fd])
        for place, names, sockets in predecessor.kept():
            self._kept.keep(place, names, sockets)
            for fd in sockets.values():
                os.close(fd)
        for request in routes:
            self._handle({"do": "route", **request}, [])
        self._predecessor = predecessor
        predecessor.on_idle = self._emit_idle
        predecessor.on_gone = self._end_if_done
        predecessor.relieve(self.loop, self._door)

    def _handle(self, request: Json, fds: list[int]) -> Answer:
        verb = self._verbs.get(str(request.get("do")))
        try:
            if verb is None:
                raise ValueError(f"the front door does not know how to {request.get('do')!r}")
            answer, descriptors = verb(request, fds)
            if self._predecessor is not None and request["do"] in _FORWARDED:
                answer = _sum(answer, self._predecessor.forward(request, fds))
            return answer, descriptors
        finally:
            for fd in fds:
                os.close(fd)

    def _after(self, request: Json, connection: Connection) -> None:
        """Events of what a request did come after its answer."""
        if request["do"] == "route":
            self._door.report_idle(str(request["deploy"]))
        elif request["do"] == "hand_over":
            self._handover = handover = Handover(self.loop, self._door, self._control, connection)
            handover.over, handover.done = self._go_on, self._end_if_done
        elif request["do"] == "ready" and self._handover is not None:
            self._handover.decide(float(number(request, "grace_s")))
        elif request["do"] == "end":
            self.loop.stop()

    def _go_on(self) -> None:
        self._log.write("the new front door ended; the old one goes on")
        self._handover = None

    def _end_if_done(self) -> None:
        """A door that has an heir ends with its last client; one that its own predecessor needs stays for that."""
        is_needed = self._predecessor is not None and not self._predecessor.is_gone
        if self._handover is not None and self._handover.is_decided and not (is_needed or self._door.has_clients()):
            self.loop.stop()

    def _tell_idle(self, deploy: str, backend: Backend) -> None:
        own = backend.drained, backend.cut_off
        counts = self._predecessor.join((deploy, backend.port), own) if self._predecessor is not None else own
        if counts is not None:
            self._emit_idle((deploy, backend.port), counts)

    def _emit_idle(self, backend: tuple[str, int], counts: Counts) -> None:
        (deploy, port), (drained, cut) = backend, counts
        self._control.emit({"event": "idle", "deploy": deploy, "port": port, "drained": drained, "cut": cut})

    def _open(self, request: Json, fds: list[int]) -> Answer:
        listening = socket.socket(fileno=os.dup(fds[0]))
        self._door.open(text(request, "deploy"), (text(request, "host"), number(request, "port")), listening)
        return {}, ()

    def _route(self, request: Json, fds: list[int]) -> Answer:
        backends = request["backends"]
        if not isinstance(backends, list):
            raise TypeError("backends is no list")
        targets = [_target(backend) for backend in backends]
        self._door.expect_proxy(text(request, "deploy"), expected=request.get("proxied") is True)
        host = text({"host": "127.0.0.1", **request}, "host")
        self._door.route(text(request, "deploy"), targets, stopped=request.get("stopped") is True, host=host)
        return {}, ()

    def _cut(self, request: Json, fds: list[int]) -> Answer:
        left = self._door.cut(text(request, "deploy"), number(request, "port"))
        return {"drained": sum(each.drained for each in left), "cut": sum(each.cut_off for each in left)}, ()

    def _close(self, request: Json, fds: list[int]) -> Answer:
        address = (text(request, "host"), number(request, "port")) if "port" in request else None
        self._door.close(text(request, "deploy"), address)
        return {}, ()

    def _listeners(self, request: Json, fds: list[int]) -> Answer:
        listeners = self._door.listeners()
        doors = [{"deploy": name, "host": host, "port": port} for name, (host, port), _ in listeners]
        return {"doors": doors}, [fd for _, _, fd in listeners]

    def _keep(self, request: Json, fds: list[int]) -> Answer:
        place = text(request, "deploy"), text(request, "host"), number(request, "port")
        self._kept.keep(place, texts(request, "names"), dict(zip(texts(request, "new"), fds, strict=True)))
        return {}, ()

    def _list_kept(self, request: Json, fds: list[int]) -> Answer:
        return self._kept.listed(number(request, "from"))

    def _status(self, request: Json, fds: list[int]) -> Answer:
        before = self._predecessor.forward(request) if self._predecessor is not None else {}
        return {"pid": os.getpid(), "version": self._version, **_with_predecessor(self._door.status(), before)}, ()

    def _hand_over(self, request: Json, fds: list[int]) -> Answer:
        if self._handover is not None:
            raise ValueError("the front door is being handed over already")
        doors, listening = self._listeners(request, fds)
        routes = [{**_describe(name, deploy), "leaving": self._leaving(name)} for name, deploy in self._door.routes()]
        return {**doors, "routes": routes}, [self._lock, *listening]

    def _be_relieved(self, request: Json, fds: list[int]) -> Answer:
        if self._handover is None or self._handover.is_decided:
            raise ValueError("nobody has asked for the front door")
        return {}, ()

    def _took(self, request: Json, fds: list[int]) -> Answer:
        if self._handover is not None:
            self._handover.took(number(request, "count"))
        return {}, ()

    def _leaving(self, name: str) -> list[Json]:
        """Backends that no new request goes to, and that still have one."""
        held = self._predecessor.held(name) if self._predecessor is not None else []
        return [{"port": port} for port in (*(each.port for each in self._door.deploys[name].leaving), *held)]

    def _end(self, request: Json, fds: list[int]) -> Answer:
        return {}, ()


def main(arguments: Sequence[str]) -> int:
    """The front door of this folder runs until it is told to end; 75 if one is running already.

    `BESIDE`: one is, and hands over to this one; 70 if it does not.
    """
    folder, options = Path(arguments[0]), arguments[1:]
    version = next((option for option in options if option != BESIDE), "")
    if BESIDE in options:
        return _take_over(folder, version)
    lock = os.open(folder / "door.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _ALREADY_RUNNING
    _write_to(folder / "door.log")
    os.chdir("/")
    Server(folder, lock, version).loop.run()
    return 0


def _take_over(folder: Path, version: str) -> int:
    _write_to(folder / "door.log")
    os.chdir("/")
    try:
        predecessor = Predecessor(folder)
        inherited, (lock, *listening) = predecessor.inherit()
        server = Server(folder, lock, version)
        server.succeed(predecessor, inherited, listening)
    except OSError as error:
        Log().write(f"the front door that is there does not hand over: {error}")
        return _NO_HEIR
    server.loop.run()
    return 0


def _target(backend: Json) -> Target:
    identity = text(backend, "process"), number(backend, "release"), number(backend, "port")
    return Target(identity, Path(text(backend, "socket")) if "socket" in backend else None)


def _describe(name: str, deploy: Deploy) -> Json:
    """What `route` is asked with."""
    backends = [_describe_backend(backend) for backend in deploy.backends]
    host = {"host": deploy.backends[0].host} if deploy.backends else {}
    return {"deploy": name, "backends": backends, "stopped": deploy.is_stopped, "proxied": deploy.is_proxied, **host}


def _describe_backend(backend: Backend) -> Json:
    process, release, port = backend.identity
    socket = {"socket": str(backend.socket)} if backend.socket is not None else {}
    return {"process": process, "release": release, "port": port, **socket}


def _sum(answer: Json, before: Json) -> Json:
    """What this door has counted, and the one before."""
    counts = [count for count in ("drained", "cut") if count in answer and count in before]
    return {**answer, **{count: number(answer, count) + number(before, count) for count in counts}}


def _with_predecessor(status: Json, before: Json) -> Json:
    """The status of both doors as that of one; what is under way in the old one stands beside the rest."""
    if not before.get("ok"):
        return status
    deploys, old = dict(inner(status, "deploys")), inner(before, "deploys")
    for name in old:
        deploys[name] = _join(inner(deploys, name) if name in deploys else _NOTHING, inner(old, name))
    counts = {count: number(status, count) + number(before, count) for count in ("connections", "requests")}
    return {**counts, "deploys": deploys, "predecessor": {"pid": before["pid"], "connections": before["connections"]}}


def _join(new: Json, old: Json) -> Json:
    busy = [backend for backend in many(old, "backends") if backend["in_flight"] or backend["leaving"]]
    counts = {
        count: number(new, count) + number(old, count) for count in ("connections", "requests", "held", "refused")
    }
    return {**new, **counts, "backends": [*many(new, "backends"), *busy]}


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

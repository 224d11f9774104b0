"""The supervisor's dealings with the front door: it is there, holds our listening sockets, and knows the way.

We open the sockets and keep a copy, so a dead door is replaced at once and nobody is refused; a living door gives
them back to a supervisor that has started anew.
"""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trivet.errors import PortTaken, SupervisorUnreachable
from trivet.host import processes, spawn
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.run import Address, Drain
from trivet.run.door import launch, link
from trivet.run.supervisor.heir import end_heir
from trivet.run.supervisor.inheritance import Inheritances, Kept
from trivet.run.supervisor.listening import open_listener
from trivet.run.supervisor.loop import Loop

_FIRST_PORT, _LAST_PORT = 8000, 8999
_STARTS_WITHIN_S = 10.0
_POLL_S = 0.005
_MOST_AT_ONCE = 100  # descriptors in one message


@frozen
class Backend:
    """A `web` process that requests may go to, by way of its Unix socket if it has one."""

    process: str
    release: int
    port: int
    socket: Path | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """As the front door is told."""
        way = {"socket": str(self.socket)} if self.socket is not None else {}
        return {"process": self.process, "release": self.release, "port": self.port, **way}


@frozen
class Route:
    """Where a deploy's requests go; `stopped`: nowhere, and whoever asks is told so at once.

    `heirs` are the processes that get the connections themselves; then the backends are for what still comes through the
    front door, and are reached at `host`. `proxied`: every new connection begins with the PROXY protocol.
    """

    backends: tuple[Backend, ...]
    stopped: bool = False
    heirs: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    proxied: bool = False


class Doorkeeper:
    """One front door for all deploys; started when the first is opened."""

    def __init__(self, home: Home, loop: Loop, version: str) -> None:
        self._home = home
        self._loop = loop
        self._version = version
        self._is_just_started = False
        self._link: link.DoorLink | None = None
        self._heir: int | None = None  # a pidfd
        self._listeners: dict[tuple[Deploy, Address], socket.socket] = {}
        self._opened: set[tuple[Deploy, Address]] = set()
        self._routes: dict[Deploy, Route] = {}
        self._drains: dict[tuple[str, int], Callable[[Drain], None]] = {}
        self._idle: dict[tuple[str, int], Drain] = {}  # told before anybody waited for it
        self.inheritances = Inheritances(self._keep)

    def find(self) -> None:
        """A door that is still there is ours again, with the sockets it holds."""
        try:
            self._use(link.connect(self._home))
        except SupervisorUnreachable:
            return
        answer = self._ask({"do": "listeners"})
        for door, descriptor in zip(answer.data["doors"], answer.fds, strict=True):
            app, _, name = door["deploy"].partition("/")
            address = Address(door["host"], door["port"])
            self._listeners[Deploy(AppName(app), DeployName(name)), address] = socket.socket(fileno=descriptor)
        self._opened.update(self._listeners)
        self.inheritances.restore(self._kept(), self._listeners)

    def renew(self) -> None:
        """A door that was started by another version hands over to a new one; it goes on until that has succeeded."""
        if self._link is not None and not self._is_ours():
            self._spawn(beside=True)

    def let_be(self) -> None:
        """The door goes on, with the sockets it holds; another supervisor will find it."""
        self._lose()
        self.inheritances.let_be()
        for listener in self._listeners.values():
            listener.close()

    def reserve(self, deploy: Deploy, address: Address) -> Address:
        """We listen on the address for this deploy; nobody is served yet. Port 0: the first free one from 8000 on.

        Raises: PortTaken, RunError (no such address on this machine, or not allowed), MachineError.
        """
        if address.port == 0:
            return self._reserve_any(deploy, address.host)
        if (deploy, address) not in self._listeners:
            self._listeners[deploy, address] = listener = open_listener(self._listeners, deploy, address)
            self.inheritances.open(deploy, address, listener)
        return address

    def check(self, deploy: Deploy, address: Address) -> None:
        """Nothing is changed. Raises: as `reserve` would."""
        known = frozenset(self._listeners)
        reserved = self.reserve(deploy, address)
        if (deploy, reserved) not in known:
            self.give_up(deploy, reserved)

    def give_up(self, deploy: Deploy, address: Address) -> None:
        """Nobody listens on the address."""
        listener = self._listeners.pop((deploy, address), None)
        self.inheritances.close(deploy, address)
        if (deploy, address) in self._opened:
            self._opened.discard((deploy, address))
            self._tell({"do": "close", "deploy": str(deploy), "host": address.host, "port": address.port})
        if listener is not None:
            listener.close()

    def give_up_all(self, deploy: Deploy, but: Address | None = None) -> None:
        """The deploy is reached nowhere, except on this address."""
        for owner, address in tuple(self._listeners):
            if owner == deploy and address != but:
                self.give_up(deploy, address)

    def serve(self, deploy: Deploy, address: Address, route: Route) -> None:
        """Requests to the address, which is reserved, go this way from now on.

        Raises: PortTaken, MachineError (it is not reserved, and cannot be), SupervisorUnreachable (no door can start).
        """
        self.reserve(deploy, address)
        self._routes[deploy] = route
        self._opened.add((deploy, address))
        self._sync(lambda: self._open(deploy, address), partial(self._route, deploy, route))

    def route(self, deploy: Deploy, route: Route) -> None:
        """The deploy's requests go this way from now on, if it is reached anywhere. Raises: SupervisorUnreachable."""
        if any(owner == deploy for owner, _ in self._opened):
            self._routes[deploy] = route
            self._sync(partial(self._route, deploy, route))

    def when_idle(self, deploy: Deploy, port: int, action: Callable[[Drain], None]) -> None:
        """The action is done once the last request to this backend, which is no longer routed to, was answered."""
        backend = (str(deploy), port)
        self._drains[backend] = action
        if not self._is_busy(deploy, port):
            self._loop.soon(lambda: self._conclude(backend, self._idle.get(backend, Drain())))

    def cut(self, deploy: Deploy, port: int) -> Drain:
        """Requests that this backend still works on are cut."""
        self._drains.pop((str(deploy), port), None)
        try:
            counts = self._ask({"do": "cut", "deploy": str(deploy), "port": port}).data
        except SupervisorUnreachable:
            return Drain()
        return Drain(counts.get("drained", 0), counts.get("cut", 0))

    def end(self) -> None:
        """The front door is gone, and so is one that was about to take over from it."""
        self._tell({"do": "end"})
        self._lose()
        if self._heir is not None:
            end_heir(self._home, self._heir)
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._opened.clear()

    def _reserve_any(self, deploy: Deploy, host: str) -> Address:
        for port in range(_FIRST_PORT, _LAST_PORT + 1):
            if any(address.port == port for _, address in self._listeners):
                continue
            try:
                return self.reserve(deploy, Address(host, port))
            except PortTaken:
                continue
        raise PortTaken(
            f"Every port from {_FIRST_PORT} to {_LAST_PORT} is taken.", hint="Choose another one: trivet deploy --port"
        )

    def _sync(self, *requests: Callable[[], object]) -> None:
        """The door has done what is asked; one that is not there, or ends over it, is replaced and told everything."""
        if self._link is None:
            self._join()
            return
        try:
            for request in requests:
                request()
        except SupervisorUnreachable:
            self._join()

    def _join(self) -> None:
        """The door that is there, or else a new one, has been told everything. Raises: SupervisorUnreachable."""
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            self._lose()
            try:
                self._use(self._find_or_start())
                self._tell_everything()
            except SupervisorUnreachable:  # it may just have been replaced
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def _find_or_start(self) -> link.DoorLink:
        self._is_just_started = False
        try:
            return link.connect(self._home)
        except SupervisorUnreachable:
            self._is_just_started = True
            self._spawn(beside=False)
            return self._connect()

    def _spawn(self, *, beside: bool) -> None:
        log, null = _open_log(self._home), os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        argv = launch.argv(self._home, self._version, beside=beside)
        try:
            command = spawn.Command(argv, {"LANG": "C.UTF-8"}, Path("/"), (null, log, log))
            child = spawn.spawn(command)
        finally:
            os.close(log)
            os.close(null)
        self._loop.watch(child.pidfd, partial(self._reap, child.pidfd, beside=beside))
        os.close(child.report)
        self._heir = child.pidfd if beside else self._heir

    def _tell_everything(self) -> None:
        for deploy, address in self._opened:
            self._open(deploy, address)
        for deploy, route in self._routes.items():
            self._route(deploy, route)
        self.inheritances.keep_all()
        for name, port in tuple(self._drains):
            app, _, deploy_name = name.partition("/")
            if not self._is_busy(Deploy(AppName(app), DeployName(deploy_name)), port):
                self._loop.soon(partial(self._conclude, (name, port), self._idle.get((name, port), Drain())))

    def _connect(self) -> link.DoorLink:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                return link.connect(self._home)
            except SupervisorUnreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)

    def _is_ours(self) -> bool:
        return self._link is not None and self._ask({"do": "status"}).data.get("version") == self._version

    def _use(self, door: link.DoorLink) -> None:
        self._link = door
        self._loop.watch(door.fileno(), self._take_events)

    def _take_events(self) -> None:
        if self._link is None:
            return
        for event in self._link.events():
            if event["event"] == "idle":
                drain = Drain(event.get("drained", 0), event.get("cut", 0))  # a door of before counts nothing
                self._conclude((event["deploy"], event["port"]), drain)
        if self._link.ended:
            self._join()
            what = "ended; it is started again" if self._is_just_started else "is another process now, which took over"
            sys.stderr.write(f"trivet: the front door {what}\n")

    def _conclude(self, backend: tuple[str, int], drain: Drain) -> None:
        action = self._drains.pop(backend, None)
        if action is None:
            self._idle[backend] = drain
        else:
            self._idle.pop(backend, None)
            self._loop.soon(partial(action, drain))

    def _is_busy(self, deploy: Deploy, port: int) -> bool:
        if self._link is None:
            return False
        try:
            deploys = self._ask({"do": "status"}).data.get("deploys", {})
        except SupervisorUnreachable:
            return False
        backends = deploys.get(str(deploy), {}).get("backends", ())
        return any(backend["port"] == port and backend["leaving"] for backend in backends)

    def _lose(self) -> None:
        if self._link is not None:
            self._loop.forget(self._link.fileno())
            self._link.close()
            self._link = None

    def _open(self, deploy: Deploy, address: Address) -> None:
        listener = self._listeners[deploy, address]
        request = {"do": "open", "deploy": str(deploy), "host": address.host, "port": address.port}
        self._ask(request, (listener.fileno(),))

    def _route(self, deploy: Deploy, route: Route) -> None:
        """What comes through the door goes to the heirs by way of the address: so they are there before, and leave after."""
        for backend in route.backends:
            self._idle.pop((str(deploy), backend.port), None)  # of when it left before it came back
        if route.heirs:
            self.inheritances.serve(deploy, route.heirs)
        self._ask(_routing(deploy, route))
        if not route.heirs:
            self.inheritances.serve(deploy, ())

    def _keep(self, deploy: Deploy, address: Address, names: Sequence[str], fresh: Mapping[str, int]) -> None:
        place = {"do": "keep", "deploy": str(deploy), "host": address.host, "port": address.port}
        new = list(fresh)
        parts = [new[at : at + _MOST_AT_ONCE] for at in range(0, len(new), _MOST_AT_ONCE)] or [new]

        def ask() -> None:
            for part in parts:
                self._ask({**place, "names": list(names), "new": part}, tuple(fresh[name] for name in part))

        self._sync(ask)

    def _kept(self) -> list[Kept]:
        kept: list[Kept] = []
        while True:
            answer = self._ask({"do": "kept", "from": len(kept)})
            descriptors = iter(answer.fds)
            for entry in answer.data["sockets"]:
                app, _, name = entry["deploy"].partition("/")
                held = socket.socket(fileno=next(descriptors)) if entry["held"] else None
                deploy, address = Deploy(AppName(app), DeployName(name)), Address(entry["host"], entry["port"])
                kept.append(Kept(deploy, address, entry["name"], held))
            if len(kept) >= answer.data["count"]:
                return kept

    def _tell(self, request: Mapping[str, Any]) -> None:
        """Asked only if the door is there; one that is not, or is about to end, has nothing to be told."""
        if self._link is not None:
            with contextlib.suppress(SupervisorUnreachable):
                self._ask(request)

    def _ask(self, request: Mapping[str, Any], descriptors: tuple[int, ...] = ()) -> link.Answer:
        if self._link is None:
            raise _gone()
        try:
            answer = self._link.ask(request, descriptors)
        except SupervisorUnreachable:
            self._loop.soon(self._take_events)
            raise
        if self._link.has_events():
            self._loop.soon(self._take_events)
        return answer

    def _reap(self, pidfd: int, *, beside: bool) -> None:
        ended = processes.exit_of(pidfd)
        if beside and ended.status != 0 and not self._is_ours():
            log = launch.log_path(self._home)
            sys.stderr.write(f"trivet: the new front door {ended.told}, and the old one goes on; {log} says more\n")
        self._heir = None if self._heir == pidfd else self._heir
        self._loop.forget(pidfd)
        os.close(pidfd)


def _routing(deploy: Deploy, route: Route) -> Mapping[str, Any]:
    backends = [each.facts for each in route.backends]
    facts = {"stopped": route.stopped, "host": route.host, "proxied": route.proxied}
    return {"do": "route", "deploy": str(deploy), "backends": backends, **facts}


def _gone() -> SupervisorUnreachable:
    return SupervisorUnreachable("The front door is gone.", hint="`trivet up` starts it again.")


def _open_log(home: Home) -> int:
    return os.open(launch.log_path(home), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

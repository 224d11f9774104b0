"""The supervisor of one home: all its deploys' keepers, the front door, and whoever asks for something."""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from trivet.errors import Busy, RunError, TrivetError
from trivet.host.clock import now
from trivet.host.files import refused
from trivet.host.spawn import Command
from trivet.model.any_version import from_any_version
from trivet.model.event import Event, EventKind
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_deploy
from trivet.model.release import Act
from trivet.model.run import Address
from trivet.run import desired
from trivet.run.code import version_of
from trivet.run.supervisor import recovery, strays, verbs
from trivet.run.supervisor.control import Client, Control
from trivet.run.supervisor.doorkeeper import Doorkeeper
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.loop import guarded
from trivet.run.supervisor.metrics import Metrics
from trivet.run.supervisor.rolling import Listener
from trivet.run.supervisor.strays import Stray
from trivet.run.supervisor.succession import Image, PassedOn, Successor
from trivet.run.supervisor.yard import Yard

_ABORTED = "interrupted"
_WRITING = frozenset(("roll_out", "scale", "restart", "stop", "start", "run_scheduled"))

Request = Mapping[str, Any]


class Supervisor:
    """Keeps what is meant to run in this home running, until it is told to end it."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._home: Home = yard.home
        self._door = Doorkeeper(yard.home, yard.loop, yard.version)
        self._keepers: dict[Deploy, Keeper] = {}
        self._ending: list[Client] = []
        yard.logs.written = self._written_logs
        self._is_ending = False
        self._next: Callable[[socket.socket], Successor | Image] | None = None
        self._metrics = Metrics(yard, self._keepers)
        self._verbs: Mapping[str, Callable[[Client, Request], None]] = {
            "hello": self._hello,
            "processes": self._processes,
            "troubles": self._troubles,
            "means": self._means,
            "check_address": self._check_address,
            "down": self._down,
            "check_hand_over": self._check_hand_over,
            "hand_over": self._hand_over,
            "become": self._become,
            "roll_out": self._roll_out,
            "watch": self._watch,
            "abort": self._abort,
            "settle": self._settle,
            "scale": self._scale,
            "restart": self._restart,
            "stop": self._stop,
            "start": self._start,
            "run_scheduled": self._run_scheduled,
            "destroy": self._destroy,
            "metrics": self._metrics.tell,
            "metrics_place": self._metrics.place,
            "metrics_on": self._metrics.turn_on,
            "metrics_off": self._metrics.turn_off,
        }

    def run(self, inherited: PassedOn | None = None) -> Successor | Image | None:
        """Returns when everything has been ended, or is another supervisor's from here on, which waits for its answer.

        Whoever asks meanwhile waits until what ran before is back.
        """
        control = Control(self._home, self._yard.loop, self._serve, inherited.listener if inherited else None)
        guarded(self._door.find)
        self._recover_all()
        if inherited is not None:
            inherited.accept()
        guarded(self._door.renew)
        guarded(self._discard_leftovers)
        guarded(self._metrics.begin)
        self._yard.loop.run()
        self._metrics.close()
        if self._next is not None:
            return self._let_be(control, self._next)
        control.close()
        self._yard.journal.flush()
        self._yard.leftovers.finish()
        self._yard.cgroups.close()
        return None

    def _let_be(self, control: Control, make: Callable[[socket.socket], Successor | Image]) -> Successor | Image:
        for keeper in self._keepers.values():
            keeper.times.close()
            for process in keeper.all():
                process.let_be()
        self._door.let_be()
        self._yard.journal.flush()
        return make(control.part())

    def end(self, by: Act | None = None) -> None:
        """All processes are told to end; `run` returns once they have. What is meant to run stays as it is."""
        if self._is_ending:
            return
        self._is_ending = True
        for keeper in self._keepers.values():
            keeper.tell(Event(now(), EventKind.SUPERVISOR_DOWN, by=by))
        for keeper in self._keepers.values():
            keeper.abort(_ABORTED)
            keeper.when_settled(partial(keeper.let_all_go, self._end_when_empty))
        self._yard.loop.soon(self._end_when_empty)

    def children(self) -> frozenset[int]:
        """The pids of the processes that it keeps."""
        return frozenset(each.status.pid or 0 for keeper in self._keepers.values() for each in keeper.all())

    def _end_when_empty(self) -> None:
        if any(keeper.all() for keeper in self._keepers.values()):
            return
        self._door.end()
        for client in self._ending:
            client.done(None)
        self._yard.loop.stop()

    def _recover_all(self) -> None:
        present = strays.find(self._home)
        deploys = desired.find_deploys(self._home)
        for deploy in deploys:
            self._recover(deploy, tuple(each for each in present if each.deploy == str(deploy)))
        known = frozenset(map(str, deploys))
        for stray in present:
            if stray.deploy not in known:  # it was destroyed
                stray.end()

    def _recover(self, deploy: Deploy, present: Iterable[Stray]) -> None:
        keeper = self._keeper(deploy)
        try:
            recovery.recover(keeper, present)
        except (OSError, TrivetError) as error:
            keeper.unread = f"it is not as it should be: {error}"
            sys.stderr.write(f"trivet: {deploy}: {keeper.unread}\n")
        except Exception as error:  # noqa: BLE001  # one deploy's trouble must not keep the others from running
            keeper.unread = f"the supervisor stumbled over it ({type(error).__name__}); run/supervisor.log says more."
            sys.excepthook(type(error), error, error.__traceback__)

    def _discard_leftovers(self) -> None:
        used = frozenset(process.status.temporary for keeper in self._keepers.values() for process in keeper.all())
        recovery.discard_leftovers(self._yard, used)
        # Soon: what is to leave has been let go by then, and is known.
        self._yard.loop.soon(lambda: recovery.discard_groups(self._yard, self._keepers.values()))

    def _keeper(self, deploy: Deploy) -> Keeper:
        if deploy not in self._keepers:
            self._keepers[deploy] = Keeper(self._yard, self._door, deploy)
        return self._keepers[deploy]

    def _written_logs(self) -> frozenset[Path]:
        return frozenset(process.log for keeper in self._keepers.values() for process in keeper.all())

    def _serve(self, client: Client, request: Request) -> None:
        verb = self._verbs.get(str(request.get("do")))
        if verb is None or self._is_ending:
            client.refused(_cannot_serve(request, ending=self._is_ending))
            return
        try:
            if str(request.get("do")) in _WRITING:
                self._yard.logs.reserve.give_up_if_full()
            verb(client, request)
        except TrivetError as error:
            client.refused(error)
        except OSError as error:
            client.refused(refused(error, f"do {request.get('do')!r}"))
        except Exception as error:  # noqa: BLE001  # this is the loop: whoever asked must not wait for ever
            sys.excepthook(type(error), error, error.__traceback__)
            client.refused(_stumbled(request, error))

    def _hello(self, client: Client, _: Request) -> None:
        facts = {"version": self._yard.version, "in_foreground": self._yard.in_foreground}
        client.done({"pid": os.getpid(), **facts})

    def _check_hand_over(self, client: Client, _: Request) -> None:
        self._check_settled()
        client.done(None)

    def _hand_over(self, client: Client, _: Request) -> None:
        self._check_settled()
        self._next = partial(Successor, client.part())
        self._yard.loop.stop()

    def _become(self, client: Client, request: Request) -> None:
        """As `hand_over`, within this process."""
        self._check_settled()
        argv, environment = tuple(map(str, request["argv"])), dict(request["environment"])
        self._next = partial(
            Image, client.part(), Command(argv, environment, Path("/"), (0, 1, 2), open_files=self._yard.open_files)
        )
        self._yard.loop.stop()

    def _check_settled(self) -> None:
        if changing := sorted(str(deploy) for deploy, keeper in self._keepers.items() if keeper.is_changing):
            raise Busy(
                f"The supervisor, of Trivet {version_of(self._yard.version)}, goes on: {', '.join(changing)} is being changed.",
                hint="Wait for that to end, then: trivet up",
            )

    def _processes(self, client: Client, request: Request) -> None:
        chosen = [self._keeper_of(request)] if request.get("deploy") else self._keepers.values()
        client.done([status for keeper in chosen for status in keeper.statuses()])

    def _troubles(self, client: Client, _: Request) -> None:
        client.done({str(deploy): each.trouble for deploy, each in self._keepers.items() if each.trouble is not None})

    def _means(self, client: Client, _: Request) -> None:
        client.done(self._yard.cgroups.means)

    def _check_address(self, client: Client, request: Request) -> None:
        self._keeper_of(request).check_address(_address(request))
        client.done(None)

    def _down(self, client: Client, request: Request) -> None:
        self._ending.append(client)
        self.end(_by(request))

    def _roll_out(self, client: Client, request: Request) -> None:
        wish = verbs.Wish(_address(request), float(request["warm_s"]))
        verbs.roll_out(self._keeper_of(request), int(request["number"]), wish, _listener(client, request))

    def _watch(self, client: Client, request: Request) -> None:
        listener = _listener(client, request)
        verbs.watch(self._keeper_of(request), int(request["number"]), float(request["seconds"]), listener)

    def _abort(self, client: Client, request: Request) -> None:
        self._keeper_of(request).abort(_ABORTED)
        client.done(None)

    def _settle(self, client: Client, request: Request) -> None:
        self._keeper_of(request).when_settled(lambda: client.done(None))

    def _scale(self, client: Client, request: Request) -> None:
        changes = {str(name): int(count) for name, count in request["changes"].items()}
        verbs.scale(self._keeper_of(request), changes, _listener(client, request))

    def _restart(self, client: Client, request: Request) -> None:
        verbs.restart(self._keeper_of(request), request["process"], _listener(client, request))

    def _stop(self, client: Client, request: Request) -> None:
        verbs.stop(self._keeper_of(request), _listener(client, request), ran=bool(request.get("ran")))

    def _start(self, client: Client, request: Request) -> None:
        verbs.start(self._keeper_of(request), _listener(client, request))

    def _run_scheduled(self, client: Client, request: Request) -> None:
        verbs.run_scheduled(self._keeper_of(request), str(request["name"]), _listener(client, request))

    def _destroy(self, client: Client, request: Request) -> None:
        keeper = self._keeper_of(request)

        def forget() -> None:
            self._door.give_up_all(keeper.deploy)
            self._keepers.pop(keeper.deploy, None)
            client.done(None)

        keeper.abort(_ABORTED)
        keeper.when_settled(partial(keeper.let_all_go, forget))

    def _keeper_of(self, request: Request) -> Keeper:
        return self._keeper(parse_deploy(str(request["deploy"])))


def _address(request: Request) -> Address | None:
    return from_any_version(Address | None, request["address"], name="address")  # type: ignore[arg-type]  # a type form


def _by(request: Request) -> Act | None:
    return from_any_version(Act | None, request.get("by"), name="by")  # type: ignore[arg-type]  # a type form


def _listener(client: Client, request: Request) -> Listener:
    return Listener(client.report, client.done, client.refused, _by(request))


def _stumbled(request: Request, error: Exception) -> RunError:
    return RunError(
        f"The supervisor stumbled over {request.get('do')!r} ({type(error).__name__}).",
        hint="This is a defect of Trivet; run/supervisor.log holds what a report needs. What runs goes on running.",
    )


def _cannot_serve(request: Request, *, ending: bool) -> RunError:
    if ending:
        return RunError("The supervisor is ending.", hint="Wait a moment, then: trivet up")
    return RunError(
        f"The supervisor does not know what {request.get('do')!r} means.",
        hint="It was started by another version of Trivet; `trivet up` replaces it, and nothing that runs is restarted.",
    )

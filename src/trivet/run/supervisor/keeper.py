"""Keeps one deploy: its processes, the change in flight, and the way from its address to those that serve."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from trivet.errors import Busy, InvalidDocument, MachineError, SupervisorUnreachable, TrivetError
from trivet.model.event import Event
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.run import Address, Drain, Failure, ProcessStatus
from trivet.model.run_plan import ProcessPlan
from trivet.run import desired
from trivet.run.released import current_release
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.change import Change, Deed, Parties, kind_of
from trivet.run.supervisor.departure import Departure
from trivet.run.supervisor.doorkeeper import Backend, Doorkeeper, Route
from trivet.run.supervisor.loop import Action
from trivet.run.supervisor.probation import Probation
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.search import search
from trivet.run.supervisor.times import Times
from trivet.run.supervisor.yard import Yard

DEFAULT_HOST = "127.0.0.1"


class Keeper:
    """One deploy. `members` are the processes meant to run, by name; `leaving` those on their way out.

    `unread` says why what is meant to run cannot be told, `unreached` why nobody listens on its address.
    """

    def __init__(self, yard: Yard, door: Doorkeeper, deploy: Deploy) -> None:
        self.yard = yard
        self.door = door
        self.deploy = deploy
        self.members: dict[str, Process] = {}
        self.leaving: set[Process] = set()
        self.unread: str | None = None
        self.unreached: str | None = None
        self._starting: tuple[Process, ...] = ()
        self._warm: tuple[Process, ...] = ()
        self._reserved: Address | None = None
        self._probation: Probation | None = None
        self._change: Change | None = None
        self._departure = Departure(yard, door, deploy, self._on_gone)
        self._when_settled: list[Action] = []
        self._when_gone: list[Action] = []
        self.times = Times(yard, deploy)

    @property
    def home(self) -> Home:
        return self.yard.home

    @property
    def current(self) -> int | None:
        """The release that is meant to run. Raises: InvalidDocument."""
        return current_release(self.home, self.deploy)

    @property
    def trouble(self) -> str | None:
        """Why the deploy is not as it is meant to be; None: nothing that a person must know."""
        return " ".join(filter(None, (self.unread, self.unreached))) or None

    @property
    def is_stopped(self) -> bool:
        return desired.is_stopped(self.home, self.deploy)

    @property
    def is_changing(self) -> bool:
        """Whether a change is in flight."""
        return self._change is not None

    def statuses(self) -> tuple[ProcessStatus, ...]:
        """Every process there is, those that leave last."""
        return tuple(process.status.shown(self.deploy) for process in self.all())

    def all(self) -> tuple[Process, ...]:
        """Every process there is, those that leave last."""
        there = (*self.members.values(), *self._starting, *self._warm, *self.times.processes, *self.leaving)
        return tuple(dict.fromkeys(there))

    def tell(self, event: Event) -> None:
        """The journal says that this happened to the deploy."""
        self.yard.journal.tell(self.deploy, event)

    def check_free(self) -> None:
        """Raises: Busy, while a change is in flight."""
        if self._change is not None:
            raise Busy(
                f"{self.deploy} is being changed already.", hint="Wait for that to end, then try again: trivet ps"
            )

    def make_processes(self, release: int, plans: Iterable[ProcessPlan]) -> tuple[Process, ...]:
        """New processes of the release, not started yet; the address that they are for is reserved.

        Raises: MachineError (no free port); what `Inheritances.take` does.
        """
        made: list[Process] = []
        try:
            for plan in plans:
                made.append(Process(self.yard, self._belonging(release, plan.name), plan))
                self._bequeath(made[-1])
        except TrivetError:
            for process in made:
                process.disinherit()
            raise
        return tuple(made)

    def reserve(self, wish: Address | None) -> Address:
        """The address that the deploy is to be reached on is ours to listen on.

        Raises: PortTaken, RunError (no such address, or not allowed), InvalidDocument.
        """
        self._reserved = self.door.reserve(self.deploy, self._chosen_address(wish))
        return self._reserved

    def check_address(self, wish: Address | None) -> None:
        """Nothing is changed. Raises: as `reserve` would."""
        self.door.check(self.deploy, self._chosen_address(wish))

    def begin(self, deed: Deed) -> None:
        """The change is in flight."""
        self.unread = None
        self._end_probation()
        self._starting = deed.parties.starts
        end = partial(self._on_end, deed.end)
        deed = replace(deed, end=end, clear=self._withdraw, bring_back=self._bring_back)
        self._change = Change(self.yard, self._departure, deed)
        self._change.begin()

    def watch(self, seconds: float, done: Callable[[Failure | None], None]) -> None:
        """What runs is watched for so long, or until it is changed: `done` is told what went wrong first, or None."""
        self._end_probation()
        self._probation = Probation(self.yard.loop, self.members.values(), seconds, done)

    def _end_probation(self) -> None:
        probation, self._probation = self._probation, None
        if probation is not None:
            probation.close()

    def abort(self, reason: str) -> None:
        """The change in flight is undone, if the old can still serve."""
        if self._change is not None:
            self._change.abort(reason)

    def take_over(
        self, starts: Iterable[Process], drops: Iterable[Process], address: Address | None, commit: Action
    ) -> None:
        """These processes are meant to run instead of those, and requests to the address go to them.

        Those are kept warm, to `go_back` to, until it is time to `part`. `commit` writes down what is meant to run, last of
        all that may fail. Raises: SupervisorUnreachable (the front door cannot be started), MachineError.
        """
        drops = tuple(drops)
        dropped = {process.plan.name for process in drops}
        kept = {name: process for name, process in self.members.items() if name not in dropped}
        members = {**kept, **{process.plan.name: process for process in starts}}
        self._lay_way(members, address)
        commit()
        self.keep_times()
        self.members = members
        self._warm = tuple(process for process in drops if not process.is_stopping)
        for process in members.values():
            process.on_move = self._on_move
        if address is not None:
            self.unreached = None
            if not drops:
                self.door.give_up_all(self.deploy, but=address)

    def part(self, address: Address | None) -> None:
        """What was kept warm is on its way out, and so is any other address than this one."""
        self.leaving |= set(self._warm)
        self._warm = ()
        if address is not None:
            self.door.give_up_all(self.deploy, but=address)

    def go_back(self, parties: Parties, address: Address | None, commit: Action) -> None:
        """What was dropped is meant to run again instead of what was started, as far as the machine lets us."""
        started = set(parties.starts)
        kept = {name: process for name, process in self.members.items() if process not in started}
        old = {process.plan.name: process for process in parties.drops if not process.is_stopping}
        self.members, self._warm = {**kept, **old}, ()
        self.put_back(address)
        try:
            commit()
        except (OSError, TrivetError) as error:
            sys.stderr.write(f"trivet: {self.deploy}: {error}\n")
        self.keep_times()

    def put_back(self, address: Address | None) -> None:
        """Requests go to the members again, at the address of before, as far as the machine lets us."""
        with contextlib.suppress(MachineError, SupervisorUnreachable):
            if address is not None and not address.is_exactly(desired.read_address(self.home, self.deploy)):
                desired.write_address(self.home, self.deploy, address)
            self.door.route(self.deploy, self._route(self.members, stopped=self.is_stopped))
        self.door.give_up_all(self.deploy, but=address)

    def let_all_go(self, gone: Action) -> None:
        """Nothing runs, and whoever asks at the address is told that the app is stopped; then `gone` is called."""
        self._end_probation()
        self.times.rest()
        members = (*self.members.values(), *self.times.processes)
        self.members = {}
        self.leaving |= set(members)
        with contextlib.suppress(SupervisorUnreachable):  # no door, no requests
            self.door.route(self.deploy, self._route({}, stopped=True))
        self._departure.let_go(members, drained=_nothing)
        self.when_gone(gone)

    def let_go(self, processes: Iterable[Process]) -> None:
        """These, which are no members, end as soon as they work on no request."""
        processes = tuple(processes)
        self.leaving |= set(processes)
        self._departure.let_go(processes, drained=_nothing)

    def when_settled(self, action: Action) -> None:
        """The action is done once no change is in flight."""
        self._when_settled.append(action)
        self._tell_waiting()

    def when_gone(self, action: Action) -> None:
        """The action is done once no process is on its way out."""
        self._when_gone.append(action)
        self._tell_waiting()

    def keep_times(self) -> None:
        """What the release that is meant to run has scheduled runs when its time comes, from what follows on."""
        self.yard.loop.soon(lambda: self.times.follow(is_wanted=not self.is_stopped and self.unread is None))

    def prune(self) -> None:
        """Only the logs that are to be kept are, and those that are written to."""
        self.yard.logs.tidy(self.deploy)

    def _chosen_address(self, wish: Address | None) -> Address:
        if wish is not None and wish.port:
            return wish
        kept = desired.read_address(self.home, self.deploy) or Address(DEFAULT_HOST, 0)
        if wish is None:
            return kept
        return Address(wish.host or kept.host, kept.port, wish.proxy_protocol)

    def _bequeath(self, process: Process) -> None:
        if process.plan.inherits and self._reserved is not None:
            process.inherit(self.door.inheritances.take(self.deploy, self._reserved, process.name))

    def _lay_way(self, members: Mapping[str, Process], address: Address | None) -> None:
        if address is None:
            self.door.route(self.deploy, self._route(members, stopped=False))
            return
        if not address.is_exactly(desired.read_address(self.home, self.deploy)):
            desired.write_address(self.home, self.deploy, address)
        self.door.serve(self.deploy, address, self._route(members, stopped=False))

    def _route(self, members: Mapping[str, Process], *, stopped: bool) -> Route:
        backends = tuple(
            Backend(process.plan.name, process.belonging.release, process.status.port, process.status.socket)
            for process in members.values()
            if process.status.port is not None and process.inheritance is None
        )
        heirs = [(process, process.inheritance) for process in members.values() if process.inheritance is not None]
        if stopped or not heirs:
            return Route(backends, stopped or not backends, proxied=self._is_proxied())
        # Requests on connections that the front door still has follow the others by way of the address.
        first, inheritance = heirs[0]
        way = Backend(first.name, first.belonging.release, inheritance.address.port)
        return Route((way,), heirs=tuple(heir.name for heir, _ in heirs), host=inheritance.host)

    def _is_proxied(self) -> bool:
        try:
            address = desired.read_address(self.home, self.deploy)
        except (InvalidDocument, MachineError):  # who wants to write it anew, or to listen, is told
            return False
        return address is not None and address.proxy_protocol

    def _belonging(self, release: int, process: str) -> Belonging:
        there = [*self.members.values(), *self.leaving]
        turns = [
            each.belonging.turn for each in there if (each.belonging.release, each.plan.name) == (release, process)
        ]
        return Belonging(self.deploy, release, max(turns) + 1 if turns else 0)

    def start_alone(self, process: Process) -> None:
        """The process, a member, is started for good as soon as none that it must not run beside is left."""
        others = (
            {each for each in self.leaving if kind_of(each) == kind_of(process)} if not process.plan.overlaps else ()
        )
        if not others:
            self._start_for_good(process)
            return
        waiting = set(others)
        for other in others:
            other.when_gone(partial(self._start_when_alone, process, waiting))

    def _start_when_alone(self, process: Process, waiting: set[Process], gone: Process) -> None:
        waiting.discard(gone)
        if not waiting and process in self.members.values():
            self._start_for_good(process)

    def _start_for_good(self, process: Process) -> None:
        process.start_for_good()
        search(self.yard.loop, process)

    def _withdraw(self, processes: tuple[Process, ...]) -> None:
        """These, which end before their successors start, are no longer members."""
        for process in processes:
            if self.members.get(process.plan.name) is process:
                del self.members[process.plan.name]
            process.when_gone(self._on_gone)
        self.leaving |= set(processes)
        if any(process.inheritance is not None for process in processes):
            self._hold_at_door()

    def _hold_at_door(self) -> None:
        """What connects while no heir serves waits at the front door, for as long as that lets it."""
        route = self._route(self.members, stopped=False)
        self.door.route(self.deploy, replace(route, stopped=False))

    def _bring_back(self, processes: tuple[Process, ...]) -> None:
        for old in processes:
            (again,) = self.make_processes(old.belonging.release, [old.plan])
            again.on_move = self._on_move
            self.members[old.plan.name] = again
            self._start_for_good(again)
            if again.inheritance is not None:
                self.door.route(self.deploy, self._route(self.members, stopped=False))

    def _on_end(self, then: Callable[[Failure | None], None], failure: Failure | None) -> None:
        self._change = None
        self._starting, self._warm = (), ()
        try:
            then(failure)
        finally:
            self._tell_waiting()

    def _on_move(self, process: Process) -> None:
        if process in self.members.values():
            self.door.route(self.deploy, self._route(self.members, stopped=False))

    def _on_gone(self, process: Process) -> None:
        self.leaving.discard(process)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self._change is None:
            waiting, self._when_settled = self._when_settled, []
            for action in waiting:
                self.yard.loop.soon(action)
        if not self.leaving:
            waiting, self._when_gone = self._when_gone, []
            for action in waiting:
                self.yard.loop.soon(action)


def _nothing(drain: Drain) -> None:
    return

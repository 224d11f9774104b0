"""What people ask for, done to one deploy: roll out, restart, scale, stop, start. Each is a change, or less.

Every verb checks first, raising what a person can mend; then it tells its listener, once, how it ended.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trivet.errors import InvalidDocument, NothingReleased, RollOutFailed, RunError, TrivetError, UnknownProcess
from trivet.host import files
from trivet.host.clock import now
from trivet.model.event import Event, EventKind
from trivet.model.formation import check_scalable
from trivet.model.names import Deploy
from trivet.model.release import Act
from trivet.model.run import Address, Drain, RollOut
from trivet.model.run_plan import RunPlan
from trivet.run import desired, roll_outs
from trivet.run.plan import plan
from trivet.run.released import check_runnable, read_environment, read_release
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor.change import Deed, Failure, Report
from trivet.run.supervisor.intent import Intent, Phase
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.process import Process


@dataclass(frozen=True, slots=True)
class Listener:
    """Who asked: told of events, then once of the end. `done` takes a value that has a JSON form.

    `by` is for the journal; what asks for a roll-out is in the ledger.
    """

    report: Report
    done: Callable[[object], None]
    refused: Callable[[TrivetError], None]
    by: Act | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What a change is to achieve: this release at this address. `before` and `address_before`: as it was.

    `recorded`: how it ends is kept in run/rollouts; else it is a restart, of what is `chosen` (None: of all).
    """

    release: int
    before: int | None
    address: Address | None
    address_before: Address | None
    recorded: bool
    chosen: str | None = None


class Rolling:
    """A roll-out or a restart in flight, its intent on disk before each step."""

    def __init__(self, keeper: Keeper, aim: Aim, listener: Listener) -> None:
        self._keeper = keeper
        self._aim = aim
        self._listener = listener
        self._timings_s: dict[str, float] = {}
        self._connections: Drain | None = None
        self._starts: tuple[Process, ...] = ()
        self._drops: tuple[Process, ...] = ()

    def begin(self, starts: tuple[Process, ...], drops: tuple[Process, ...]) -> None:
        """The change is in flight."""
        self._starts, self._drops = starts, drops
        self._keeper.begin(Deed(starts, drops, self._enter, self._shift, self._end, self._report))

    def _enter(self, phase: Phase) -> None:
        aim, starts, drops = self._aim, _names(self._starts), _names(self._drops)
        intent = Intent(aim.release, aim.before, phase, aim.recorded, starts, drops, now(), aim.address)
        intents.write(intent_path(self._keeper), intent)

    def _shift(self) -> None:
        keeper, number = self._keeper, self._aim.release
        commit = partial(desired.write_current, keeper.home, keeper.deploy, number)
        keeper.take_over(self._starts, self._drops, self._aim.address, commit)
        self._tell(EventKind.SWITCHED if self._aim.recorded else EventKind.DEPLOY_RESTARTED)

    def _report(self, event: str, facts: Mapping[str, object]) -> None:
        if event == "shifted" and self._aim.address is not None:
            facts = {**facts, "url": self._aim.address.url}
        after_s = facts.get("after_s")
        if isinstance(after_s, float):
            self._timings_s[event] = after_s  # "ready" is overwritten until the last one is
        drained, cut = facts.get("drained"), facts.get("cut")
        if isinstance(drained, int) and isinstance(cut, int):
            self._connections = Drain(drained, cut)
        self._listener.report(event, facts)

    def _end(self, failure: Failure | None) -> None:
        try:
            if failure is not None:
                self._keeper.put_back(self._aim.address_before)
        finally:
            self._tell_end(failure)

    def _tell_end(self, failure: Failure | None) -> None:
        keeper, aim = self._keeper, self._aim
        roll_out = RollOut(
            *(keeper.deploy, aim.release, failure is None),
            address=aim.address,
            timings_s=self._timings_s,
            connections=self._connections,
        )
        if failure is not None:
            roll_out = replace(
                roll_out, reason=failure.reason, process=failure.process, output=failure.output, address=None
            )
            self._tell(EventKind.ROLL_OUT_FAILED if aim.recorded else EventKind.RESTART_FAILED, failure.reason)
        self._record(roll_out)
        if failure is not None and not aim.recorded:
            self._listener.refused(failed(keeper.deploy, failure))
        else:
            self._listener.done(roll_out)

    def _tell(self, kind: EventKind, how: str = "") -> None:
        aim = self._aim
        self._keeper.tell(Event(now(), kind, aim.release, aim.chosen, how=how, by=self._listener.by))

    def _record(self, roll_out: RollOut) -> None:
        """As far as the machine lets us: what runs, runs, and whoever asked is told in any case."""
        try:
            if self._aim.recorded:
                roll_outs.write_roll_out(self._keeper.home, roll_out)
            files.remove(intent_path(self._keeper))
            self._keeper.prune()
        except (OSError, TrivetError) as error:
            sys.stderr.write(f"trivet: {self._keeper.deploy}: {error}\n")


def roll_out(keeper: Keeper, number: int, wish: Address | None, listener: Listener) -> None:
    """The release is on its way into service; the listener is told its `RollOut`.

    Raises: Busy, UnknownRelease, InvalidDocument, RunError, PortTaken, MachineError; then nothing was begun.
    """
    keeper.check_free()
    home, deploy = keeper.home, keeper.deploy
    desired.make_folders(home, deploy)
    wanted = read_plan(keeper, number)
    if keeper.is_stopped:
        _move_current(keeper, number, listener)
        return
    before = desired.read_address(home, deploy)
    address = keeper.reserve(wish) if wanted.has_ports else None
    aim = Aim(number, _release_before(keeper), address, before, recorded=True)
    starts = keeper.make_processes(number, wanted.processes)
    Rolling(keeper, aim, listener).begin(starts, tuple(keeper.members.values()))


def restart(keeper: Keeper, chosen: str | None, listener: Listener) -> None:
    """New processes take the place of those chosen (a process, a type, or None: all); told None when the old leave.

    Raises: Busy, NothingReleased, UnknownProcess, RunError, PortTaken, MachineError.
    """
    keeper.check_free()
    wanted = read_plan(keeper, current_of(keeper))
    _check_running(keeper)
    plans = [process for process in wanted.processes if chosen in (None, process.name, process.name.rpartition(".")[0])]
    if not plans and chosen is not None:
        raise _unknown(chosen, wanted)
    before = desired.read_address(keeper.home, keeper.deploy)
    address = keeper.reserve(None) if wanted.has_ports else None
    aim = Aim(wanted.release, wanted.release, address, before, recorded=False, chosen=chosen)
    names = {process.name for process in plans}
    drops = tuple(process for name, process in keeper.members.items() if name in names)
    done = replace(listener, done=lambda _: listener.done(None))
    Rolling(keeper, aim, done).begin(keeper.make_processes(wanted.release, plans), drops)


def scale(keeper: Keeper, changes: Mapping[str, int], listener: Listener) -> None:
    """That many processes of these types are on their way; the listener is told the `Formation`.

    Raises: Busy, NothingReleased, UnknownProcess, RunError.
    """
    keeper.check_free()
    home, deploy = keeper.home, keeper.deploy
    release = read_release(home, deploy, current_of(keeper))
    check_scalable(release.processes, changes)
    present = desired.read_formation(home, deploy)
    formation = present.scaled(changes)
    counts, counted = dict(changes), {name: present.count(name) for name in changes}
    event = Event(now(), EventKind.SCALED, release.number, counts=counts, before=counted, by=listener.by)
    if keeper.is_stopped:
        desired.write_formation(home, deploy, formation)
        keeper.tell(event)
        listener.done(formation)
        return
    wanted = plan(home, release, read_environment(home, deploy, release.number), formation)
    before = desired.read_address(home, deploy)
    address = keeper.reserve(None) if wanted.has_ports else None
    names = {process.name for process in wanted.processes}
    missing = [process for process in wanted.processes if process.name not in keeper.members]
    starts = keeper.make_processes(release.number, missing)
    drops = tuple(process for name, process in keeper.members.items() if name not in names)

    def shift() -> None:
        keeper.take_over(starts, drops, address, partial(desired.write_formation, home, deploy, formation))
        keeper.tell(replace(event, at=now()))

    def end(failure: Failure | None) -> None:
        if failure is None:
            listener.done(formation)
            return
        try:
            keeper.put_back(before)
        finally:
            keeper.tell(replace(event, at=now(), kind=EventKind.SCALE_FAILED, how=failure.reason))
            listener.refused(failed(deploy, failure))

    keeper.begin(Deed(starts, drops, lambda _: None, shift, end, listener.report))


def stop(keeper: Keeper, listener: Listener) -> None:
    """No process runs, until `start`: told None once all have ended. Raises: Busy, NothingReleased."""
    keeper.check_free()
    number, ran = current_of(keeper), not keeper.is_stopped
    desired.write_stopped(keeper.home, keeper.deploy, stopped=True)
    if ran:
        keeper.tell(Event(now(), EventKind.DEPLOY_STOPPED, number, by=listener.by))
    keeper.let_all_go(lambda: listener.done(None))


def start(keeper: Keeper, listener: Listener) -> None:
    """The formation runs again: told None once it is started. Raises: Busy, NothingReleased, RunError."""
    keeper.check_free()
    wanted = read_plan(keeper, current_of(keeper))
    bring_up(keeper, wanted, keeper.reserve(None) if wanted.has_ports else None)
    was_stopped = keeper.is_stopped
    desired.write_stopped(keeper.home, keeper.deploy, stopped=False)
    keeper.unread = None
    if was_stopped:
        keeper.tell(Event(now(), EventKind.DEPLOY_STARTED, wanted.release, by=listener.by))
    listener.done(None)


def bring_up(keeper: Keeper, wanted: RunPlan, address: Address | None) -> None:
    """Whatever is missing of the plan is started, and requests go to it. Raises: MachineError, SupervisorUnreachable."""
    missing = [process for process in wanted.processes if process.name not in keeper.members]
    starts = keeper.make_processes(wanted.release, missing)
    for process in starts:
        process.start_for_good()
    keeper.members.update({process.plan.name: process for process in starts})
    keeper.take_over((), (), address, lambda: None)


def read_plan(keeper: Keeper, number: int) -> RunPlan:
    """The run plan of the release with today's formation. Raises: UnknownRelease, InvalidDocument, RunError."""
    release = read_release(keeper.home, keeper.deploy, number)
    check_runnable(keeper.home, release)
    config = read_environment(keeper.home, keeper.deploy, number)
    return plan(keeper.home, release, config, desired.read_formation(keeper.home, keeper.deploy))


def current_of(keeper: Keeper) -> int:
    """The release that is meant to run. Raises: NothingReleased, InvalidDocument."""
    if (number := keeper.current) is not None:
        return number
    raise NothingReleased(f"{keeper.deploy} has no release to run.", hint="Deploy first: trivet deploy")


def failed(deploy: Deploy, failure: Failure) -> RollOutFailed:
    """What a person is told of a restart or a scaling that was undone."""
    return RollOutFailed(
        f"The new processes of {deploy} did not come up: {failure.reason}.",
        hint="What ran before still runs, untouched. `trivet logs` shows more; mend the cause and try again.",
        detail=failure.output,
    )


def _move_current(keeper: Keeper, number: int, listener: Listener) -> None:
    """A stopped deploy stays stopped; `start` will start this release."""
    desired.write_current(keeper.home, keeper.deploy, number)
    roll_out = RollOut(keeper.deploy, number, succeeded=True, address=desired.read_address(keeper.home, keeper.deploy))
    roll_outs.write_roll_out(keeper.home, roll_out)
    keeper.tell(Event(now(), EventKind.SWITCHED, number, how="it is stopped: nothing was started"))
    listener.done(roll_out)


def _release_before(keeper: Keeper) -> int | None:
    """What a roll-out replaces; a link that says nothing is about to be written anew."""
    try:
        return keeper.current
    except InvalidDocument:
        return next((process.belonging.release for process in keeper.members.values()), None)


def _check_running(keeper: Keeper) -> None:
    if keeper.is_stopped:
        raise RunError(f"{keeper.deploy} is stopped.", hint="Start it: trivet start")


def _unknown(chosen: str, wanted: RunPlan) -> UnknownProcess:
    names = ", ".join(process.name for process in wanted.processes) or "none"
    return UnknownProcess(f"No process {chosen!r} runs in {wanted.deploy}.", hint=f"These do: {names}.")


def _names(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(process.name for process in processes)


def intent_path(keeper: Keeper) -> Path:
    return keeper.home.run(keeper.deploy) / "intent.json"

"""What people ask for, done to one deploy: roll out, restart, scale, stop, start. Each is a change, or less.

Every verb checks first, raising what a person can mend; then it tells its listener, once, how it ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from trivet.errors import InvalidDocument, NothingReleased, RunError, UnknownProcess
from trivet.host.clock import now
from trivet.model.event import Event, EventKind
from trivet.model.formation import check_scalable
from trivet.model.frozen import frozen
from trivet.model.run import Address, Failure, RollOut
from trivet.model.run_plan import ProcessPlan, RunPlan
from trivet.run import desired, roll_outs
from trivet.run.plan import plan
from trivet.run.released import check_runnable, read_environment, read_release
from trivet.run.supervisor.change import Deed, Parties, find_parties
from trivet.run.supervisor.intent import Phase
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.rolling import Aim, Listener, Rolling, failed


@frozen
class Wish:
    """How a release is to be rolled out: reached at `address` (None: where it was), the old kept warm so long if no
    process type says how long.
    """

    address: Address | None
    warm_s: float


def roll_out(keeper: Keeper, number: int, wish: Wish, listener: Listener) -> None:
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
    address = keeper.reserve(wish.address) if wanted.has_ports else None
    aim = Aim(number, _release_before(keeper), address, before, recorded=True)
    starts, drops = keeper.make_processes(number, wanted.processes), tuple(keeper.members.values())
    watch_s = find_watch_s(wanted.processes, wish.warm_s) if drops else 0.0
    Rolling(keeper, aim, listener, find_parties(starts, drops, keeper.leaving, watch_s)).begin()


def find_watch_s(plans: Iterable[ProcessPlan], default_s: float) -> float:
    """How long the old release is kept beside this one: what its process types say, else with a port the default. Pure."""
    said = [each.warm_s if each.warm_s is not None else default_s if each.has_port else 0.0 for each in plans]
    return max(said, default=0.0)


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
    starts = keeper.make_processes(wanted.release, plans)
    Rolling(keeper, aim, done, find_parties(starts, drops, keeper.leaving, 0.0)).begin()


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

    def go_back() -> None:
        keeper.go_back(parties, before, partial(desired.write_formation, home, deploy, present))

    parties = Parties(starts, drops)
    keeper.begin(
        Deed(parties, _unwritten, shift, partial(keeper.part, address), go_back, lambda: True, end, listener.report)
    )


def _unwritten(_phase: Phase, _reason: str) -> None:
    """Scaling has no intent: the formation alone says which processes are to run."""


def stop(keeper: Keeper, listener: Listener, *, ran: bool) -> None:
    """No process runs, until `start`: told None once all have ended. `ran`: it was meant to before we started.

    Raises: Busy, NothingReleased.
    """
    keeper.check_free()
    number, ran = current_of(keeper), ran or not keeper.is_stopped
    desired.write_stopped(keeper.home, keeper.deploy, stopped=True)
    if ran:
        keeper.tell(Event(now(), EventKind.DEPLOY_STOPPED, number, by=listener.by))
    keeper.keep_times()
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


def watch(keeper: Keeper, number: int, seconds: float, listener: Listener) -> None:
    """The listener is told a `Failure` if the release, which runs, fails within so many seconds; else None at their end.

    Raises: InvalidDocument.
    """
    if keeper.is_stopped or keeper.current != number:
        listener.done(None)
    else:
        keeper.watch(seconds, listener.done)


def run_scheduled(keeper: Keeper, name: str, listener: Listener) -> None:
    """One run of something scheduled begins now: reported as "started", and the listener is told the `ScheduledRun` at its end.

    Raises: NothingReleased, UnknownProcess, Busy, RunError, MachineError.
    """
    current_of(keeper)
    _check_running(keeper)
    run = keeper.times.run_now(name, listener.by, listener.done)
    listener.report("started", {"process": run.process, "release": run.release})


def bring_up(keeper: Keeper, wanted: RunPlan, address: Address | None) -> None:
    """Whatever is missing of the plan is started, and requests go to it. Raises: MachineError, SupervisorUnreachable.

    What would inherit a socket of the address is left out while there is none.
    """
    missing = [process for process in wanted.processes if process.name not in keeper.members]
    missing = [process for process in missing if address is not None or not process.inherits]
    starts = keeper.make_processes(wanted.release, missing)
    for process in starts:
        keeper.members[process.plan.name] = process
        keeper.start_alone(process)
    keeper.keep_times()  # whoever comes to listen there
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

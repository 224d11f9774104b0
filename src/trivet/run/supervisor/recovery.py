"""What a supervisor that starts finds of a deploy: adopted, started again, finished or undone, until it is as meant."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from trivet.errors import AlteredLayer, InvalidDocument, TrivetError
from trivet.host import files, processes
from trivet.host.clock import now
from trivet.host.descendants import find_processes_marked
from trivet.model.config import Config
from trivet.model.event import Event, EventKind
from trivet.model.formation import Formation
from trivet.model.names import Deploy
from trivet.model.process import find_process_type
from trivet.model.run import ProcessState, RollOut
from trivet.model.run_plan import ProcessPlan, RunPlan
from trivet.run import desired, leftovers, roll_outs
from trivet.run.holding import owner_of
from trivet.run.plan import plan
from trivet.run.released import read_environment, read_release
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor import status as statuses
from trivet.run.supervisor import way_in
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.intent import Intent, Phase, Recovery
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.rolling import intent_path
from trivet.run.supervisor.search import search
from trivet.run.supervisor.status import Status
from trivet.run.supervisor.strays import Stray
from trivet.run.supervisor.verbs import bring_up
from trivet.run.supervisor.yard import Yard

INTERRUPTED = "interrupted: the supervisor ended before all of its processes were ready"
_REASONS = {
    Phase.SHIFTING: "interrupted: the supervisor ended before it had taken over",
    Phase.WATCHING: "interrupted: when the supervisor came back, its processes no longer ran",
}
_ALTERED = "its build is not what was built; `trivet builds verify` names what was altered."
_AGAIN_S = 5.0

Found = dict[str, tuple[Status, int]]


def recover(keeper: Keeper, present: Iterable[Stray]) -> None:
    """What is meant to run of the deploy runs: found again if it still ran. Trouble is told on standard error.

    `present` are this deploy's processes, whatever the files say: those without one are found again too, or end.
    """
    desired.make_folders(keeper.home, keeper.deploy)
    desired.sweep(keeper.home, keeper.deploy)
    intent = _read_intent(keeper)
    found = _find(keeper)
    _add_strays(keeper, found, present)
    runs = [found.pop(name) for name in tuple(found) if found[name][0].planned_s is not None]
    finish = intents.finishes(intent, _serving(intent, found))
    if intent is not None:
        _write_meant(keeper, intent, finish=finish)
    _mend_current(keeper, intent, found)
    try:
        wanted = _read_wanted(keeper)
    except TrivetError as error:
        keeper.unread = f"what still runs of it runs on, and nothing is started: {error.message}"
        _tell(keeper.deploy, keeper.unread)
        wanted = _plan_of_found(keeper, found)
    _sort(keeper, found, wanted, intents.recover(intent, tuple(found), _plain_names(wanted), finish=finish))
    for status, pidfd in runs:
        keeper.times.adopt(status, pidfd, to_end=keeper.is_stopped)
    kept = len(keeper.members)
    _bring_up(keeper, wanted)
    if keeper.trouble is None:
        keeper.door.inheritances.discard(keeper.deploy, [process.name for process in keeper.all()])
    how = f"{kept} of its processes still ran, {len(keeper.members) - kept} started"
    keeper.tell(Event(now(), EventKind.SUPERVISOR_UP, wanted.release or None, how=how, by=keeper.yard.by))
    if intent is not None:
        _conclude(keeper, intent, finished=finish)


def _write_meant(keeper: Keeper, intent: Intent, *, finish: bool) -> None:
    """What is meant to run, and where, is what the intent wanted; or again what was before, if it had shifted already."""
    if finish:
        number, address = intent.release, intent.address
    elif intent.phase in (Phase.SHIFTING, Phase.WATCHING, Phase.REVERTING) and intent.before is not None:
        number, address = intent.before, intent.address_before
    else:
        return
    desired.write_current(keeper.home, keeper.deploy, number)
    if address is not None:
        desired.write_address(keeper.home, keeper.deploy, address)


def _serving(intent: Intent | None, found: Found) -> frozenset[str]:
    """Those that run and are not on their way out; of those that an intent watches, with a port only if they listen there."""
    there = [status for status, _ in found.values() if status.state is not ProcessState.STOPPING]
    if intent is None or intent.phase is not Phase.WATCHING:
        return frozenset(status.name for status in there)
    return frozenset(status.name for status in there if status.name not in intent.starts or _listens(status))


def _listens(status: Status) -> bool:
    return status.port is None or way_in.holder(status) is not None


def discard_leftovers(yard: Yard, used: frozenset[str]) -> None:
    """Temporary folders but those in `used` (paths) will be gone soon; a living one-off's carries its process's number."""
    root = yard.home.temporary
    unused = [path for path in (root.iterdir() if root.is_dir() else ()) if str(path) not in used]
    living = frozenset(find_processes_marked([leftovers.mark(path) for path in unused]).values())
    for path in unused:
        if not _is_in_use(path, living):
            yard.leftovers.take(str(path))


def discard_groups(yard: Yard, keepers: Iterable[Keeper]) -> None:
    """Control groups that hold none of our processes will be gone soon, with all in them: it hid from every other look.

    Not those of a deploy that could not be recovered, nor of one-offs that somebody waits for.
    """
    groups = (process.group for keeper in keepers for process in keeper.all())
    kept = {folder for group in groups if group is not None for folder in group.folders}
    unknown = {owner_of(keeper.deploy) for keeper in keepers if keeper.unread is not None}
    for owner, group in yard.cgroups.find_others(kept):
        folder = Path(group.folders[0])
        if owner not in unknown and not (leftovers.is_of_one_off(folder) and leftovers.has_owner(folder)):
            yard.leftovers.take_group(group)


def _read_intent(keeper: Keeper) -> Intent | None:
    try:
        return intents.read(intent_path(keeper))
    except TrivetError as error:
        _tell(keeper.deploy, f"counts as absent: {error.message}")
        return None


def _mend_current(keeper: Keeper, intent: Intent | None, found: Found) -> None:
    """run/current names a release again, if something runs that tells which: nothing healthy ends for a broken link."""
    starts = intent.starts if intent is not None else ()
    running = [
        status.release
        for status, _ in found.values()
        if status.state is ProcessState.RUNNING and status.name not in starts
    ]
    if not running or _names_a_release(keeper):
        return
    number = max(running)
    _tell(keeper.deploy, f"run/current named no release; v{number} runs, so it names that one again")
    desired.write_current(keeper.home, keeper.deploy, number)


def _names_a_release(keeper: Keeper) -> bool:
    try:
        number = keeper.current
    except InvalidDocument:
        return False
    return number is not None and keeper.home.release(keeper.deploy, number).is_dir()


def _read_wanted(keeper: Keeper) -> RunPlan:
    number = keeper.current
    if number is None or keeper.is_stopped:
        return RunPlan(keeper.deploy, number or 0, ())
    if str(keeper.deploy) in keeper.yard.altered:
        raise AlteredLayer(_ALTERED, hint="Mend it as `trivet builds verify` says, then: trivet start")
    release = read_release(keeper.home, keeper.deploy, number)
    config = read_environment(keeper.home, keeper.deploy, number)
    return plan(keeper.home, release, config, desired.read_formation(keeper.home, keeper.deploy))


def _plan_of_found(keeper: Keeper, found: Found) -> RunPlan:
    """What runs of the current release, as far as can be told without the release."""
    number = (keeper.current or 0) if _names_a_release(keeper) else 0
    own = [status for status, _ in found.values() if status.release == number]
    return RunPlan(keeper.deploy, number, tuple(_bare_plan(status) for status in own))


def _find(keeper: Keeper) -> Found:
    """The processes that have a file and still run, with a pidfd each; the files of the others are gone."""
    folder = keeper.home.run(keeper.deploy) / "status"
    found: Found = {}
    for status in statuses.read_all(folder):
        pidfd = None
        if status.temporary and Path(status.temporary).parent != keeper.home.temporary:
            continue  # it is cleared away once its process has ended: only what is ours may be
        if status.boot_id == keeper.yard.boot_id and status.pid is not None and status.start_time is not None:
            pidfd = processes.find_again(status.pid, status.start_time)
        if pidfd is None:
            statuses.remove(folder, status)
            if status.planned_s is not None:
                keeper.times.lose(status)
        else:
            found[status.name] = (status, pidfd)
    return found


def _add_strays(keeper: Keeper, found: Found, present: Iterable[Stray]) -> None:
    """Found are those too that have lost their file; those beyond knowing are ended. Files that say nothing are gone."""
    folder = keeper.home.run(keeper.deploy) / "status"
    unread = {path.stem.partition("+")[0]: path for path in folder.glob("v*.json") if path.stem not in found}
    accounted = frozenset(status.temporary for status, _ in found.values())
    seen: set[str] = set()
    for stray in (each for each in present if each.temporary not in accounted):
        plain = f"{stray.release}.{stray.process}"
        wanted = stray.temporary not in seen and (plain in unread or stray.listens())
        status = stray.as_status(keeper.yard.boot_id, _free_turn(plain, found), wanted=wanted)
        pidfd = processes.find_again(stray.pid, stray.started)
        if status is None or pidfd is None:
            stray.end()
            continue
        seen.add(stray.temporary)
        found[status.name] = (status, pidfd)
        _tell(keeper.deploy, f"{plain} (process {stray.pid}) had lost its file in run/status and was found without")
    for path in unread.values():
        path.unlink()


def _free_turn(plain: str, found: Found) -> int:
    turns = [status.turn for status, _ in found.values() if status.name.partition("+")[0] == plain]
    return max(turns) + 1 if turns else 0


def _sort(keeper: Keeper, found: Found, wanted: RunPlan, recovery: Recovery) -> None:
    plans = {process.name: process for process in wanted.processes}
    leaving: list[Process] = []
    for name, (status, pidfd) in found.items():
        heir = keeper.door.inheritances.find(keeper.deploy, name) if status.inherits else None
        keeps = (
            name in recovery.keep
            and status.state is not ProcessState.STOPPING
            and status.inherits == (heir is not None)
        )
        process_plan = plans[status.process] if keeps else _plan_of(keeper, status)
        belonging = Belonging(keeper.deploy, status.release, status.turn)
        process = Process(keeper.yard, belonging, process_plan, status)
        if heir is not None:
            process.inherit(heir)
        process.adopt(pidfd)
        if keeps:
            process.become_ready()
            search(keeper.yard.loop, process)
            keeper.members[status.process] = process
        else:
            leaving.append(process)
    keeper.leaving |= set(leaving)  # at once: what must not run beside them waits for them
    keeper.when_settled(lambda: keeper.let_go(leaving))


def _plan_of(keeper: Keeper, status: Status) -> ProcessPlan:
    """Enough to end the process the way it wants to be ended."""
    try:
        release = read_release(keeper.home, keeper.deploy, status.release)
    except TrivetError:
        return _bare_plan(status)
    kind = find_process_type(release.processes, status.process.rpartition(".")[0])
    if kind is None:
        return _bare_plan(status)
    plans = plan(keeper.home, release, Config(), Formation({kind.name: 1})).processes
    return replace(next(each for each in plans if each.name.rpartition(".")[0] == kind.name), name=status.process)


def _bare_plan(status: Status) -> ProcessPlan:
    return ProcessPlan(
        status.process,
        ("/nonexistent",),
        Path("/"),
        {},
        has_port=status.port is not None,
        inherits=status.inherits,
    )


def _bring_up(keeper: Keeper, wanted: RunPlan) -> None:
    address = None
    try:
        if wanted.has_ports or desired.read_address(keeper.home, keeper.deploy) is not None:
            address = keeper.reserve(None)
    except TrivetError as error:
        _try_to_reach_again(keeper, wanted, error)
    try:
        bring_up(keeper, wanted, address)
    except TrivetError as error:
        _try_to_reach_again(keeper, wanted, error)


def _try_to_reach_again(keeper: Keeper, wanted: RunPlan, error: TrivetError) -> None:
    if keeper.unreached is None:
        keeper.yard.loop.after(_AGAIN_S, lambda: _reach_again(keeper, wanted))
    keeper.unreached = f"it cannot be reached, tried again every {_AGAIN_S:g} s: {error.message}"
    _tell(keeper.deploy, keeper.unreached)


def _reach_again(keeper: Keeper, wanted: RunPlan) -> None:
    """The deploy is reached, unless it is already, or was destroyed meanwhile."""
    if keeper.unreached is None or not keeper.home.run(keeper.deploy).exists():
        return
    try:
        bring_up(keeper, wanted, keeper.reserve(None))
    except TrivetError:
        keeper.yard.loop.after(_AGAIN_S, lambda: _reach_again(keeper, wanted))


def _conclude(keeper: Keeper, intent: Intent, *, finished: bool) -> None:
    home, deploy = keeper.home, keeper.deploy
    _tell_end(keeper, intent, finished=finished)
    if intent.recorded and not _is_recorded(keeper, intent.release):
        reason, address = ("", intent.address) if finished else (_reason(intent), None)
        roll_outs.write_roll_out(home, RollOut(deploy, intent.release, finished, reason, address=address))
    files.remove(intent_path(keeper))


def _tell_end(keeper: Keeper, intent: Intent, *, finished: bool) -> None:
    """What had shifted was told when it did, and so was the end of what is on record."""
    has_told = finished and intent.phase in (Phase.WATCHING, Phase.SHIFTED)
    if has_told or (intent.recorded and _is_recorded(keeper, intent.release)):
        return
    done, undone = EventKind.SWITCHED, EventKind.ROLL_OUT_FAILED
    if not intent.recorded:
        done, undone = EventKind.DEPLOY_RESTARTED, EventKind.RESTART_FAILED
    event = Event(now(), done, intent.release)
    keeper.tell(event if finished else replace(event, kind=undone, how=_reason(intent)))


def _reason(intent: Intent) -> str:
    """Why the change was undone."""
    if intent.reason:
        return intent.reason
    return _REASONS.get(intent.phase, INTERRUPTED)


def _is_recorded(keeper: Keeper, release: int) -> bool:
    try:
        return roll_outs.read_roll_out(keeper.home, keeper.deploy, release) is not None
    except TrivetError:
        return False  # it is written anew


def _plain_names(wanted: RunPlan) -> tuple[str, ...]:
    return tuple(f"v{wanted.release}.{process.name}" for process in wanted.processes)


def _is_in_use(folder: Path, living: frozenset[str]) -> bool:
    """Of a deploy that could not be recovered everything runs on; a one-off ends with whoever started it."""
    return leftovers.has_owner(folder) if leftovers.is_of_one_off(folder) else leftovers.mark(folder) in living


def _tell(deploy: Deploy, text: str) -> None:
    sys.stderr.write(f"trivet [{os.getpid()}]: {deploy}: {text}\n")

"""This machine as an engine: a client of its supervisor, which it starts when it is needed."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from trivet.errors import AlteredLayer, InvalidDocument, SupervisorUnreachable, TrivetError
from trivet.host import files, processes
from trivet.host.cgroups import find_means
from trivet.host.integrity import Inspection
from trivet.host.sandbox import Sandbox, Sealing
from trivet.model.any_version import from_any_version
from trivet.model.build import Build
from trivet.model.document import to_json
from trivet.model.event import Event
from trivet.model.formation import Formation
from trivet.model.home import Home
from trivet.model.logs import LogChoice, LogLine
from trivet.model.names import AppName, Deploy, parse_deploy
from trivet.model.output import KeptOutput, Part
from trivet.model.process import ProcessType
from trivet.model.release import Act
from trivet.model.run import Address, Failure, Means, ProcessStatus, RollOut
from trivet.model.scheduled_run import Plight, ScheduledRun
from trivet.run import desired, in_use, leftovers, outputs, roll_outs, warm
from trivet.run.bundle import check_bundle
from trivet.run.enclosure import Enclosure
from trivet.run.events import read_events
from trivet.run.released import current_release, read_release
from trivet.run.supervisor import link, status, strays
from trivet.run.supervisor.start import Start, walls
from trivet.run.unread import find_unread

if TYPE_CHECKING:  # what few commands need is imported where they ask for it: all must start quickly
    from trivet.run.one_off import Ended
    from trivet.run.parts import Call, Ran

Report = Callable[[str, Mapping[str, object]], None]

_SILENCE_S = 3600.0  # between two events: a process's own deadlines are what ends a roll-out
_LONGEST_RUN_S = 3 * 24 * 3600.0  # a day, and a day for its grace
_STARTS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 10.0
_POLL_S = 0.005


class Machine:
    """One home's processes on this machine."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def is_up(self) -> bool:
        """Whether the supervisor runs."""
        return link.is_listening(self._home)

    def up(self, by: Act | None = None) -> Mapping[Deploy, AlteredLayer]:
        """The supervisor runs, and so does what ran before, but for the deploys it names, whose build was altered.

        `by`, here and below, is who asks, for the journal. Raises: CannotSeal, SupervisorUnreachable.
        """
        altered = {} if self.is_up() else self._find_altered()
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not self._answers(deadline):
            # None runs, or one that was just killed has not let go of its lock and socket yet.
            if not link.is_listening(self._home):
                Start(self._home, by).begin(altered, deadline)
        return altered

    def version(self) -> str | None:
        """What the supervisor says it was started as (`0.1.0+3f2a9c41`, "": it does not say); None if none runs."""
        return Start(self._home).running()

    def renew(self, by: Act | None = None) -> str | None:
        """A supervisor of the code that is installed has taken over from the one that runs, of the version returned.

        None: there was nothing to do, or the one that runs is of a later version. No process is restarted and no
        connection refused. Raises: Busy (a change is in flight), RunError (it did not come to that, and the old goes on).
        """
        return Start(self._home, by).renew(self._find_altered)

    def run_foreground(self, by: Act | None = None) -> NoReturn:
        """This process is the supervisor from here on. SIGTERM and SIGINT end it with all it runs. Raises: RunError."""
        if self.is_up():
            raise SupervisorUnreachable("A supervisor of this home runs already.", hint="End it first: trivet down")
        files.make_directories(self._home.supervisor, mode=0o700)
        Start(self._home, by).become(self._find_altered())

    def down(self, by: Act | None = None) -> None:
        """Nothing runs: no process of any app, no front door, no supervisor. The next `up` brings back what ran."""
        if not self.is_up() and not strays.find(self._home) and not _is_door_there(self._home):
            return
        self.up()  # a supervisor that was killed left something behind: one that finds it can end it
        pid = int(self._ask({"do": "hello"}, within_s=_STARTS_WITHIN_S)["pid"])
        started = processes.start_time(pid)
        self._ask({"do": "down", "by": to_json(by)})
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while started is not None and processes.start_time(pid) == started and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def roll_out(self, deploy: Deploy, number: int, *, address: Address | None, report: Report) -> RollOut:
        """How the roll-out ended; a failed one changed nothing. `report` is told started, ready, shifted,
        watching, watched, drained, stopped.

        Raises: UnknownRelease, PortTaken, RunError, MachineError, SupervisorUnreachable; then nothing was begun.
        """
        self._settle(deploy)
        where = {"deploy": str(deploy), "address": to_json(address)}
        request = {"do": "roll_out", "number": number, **where, "warm_s": warm.read_warm_s(os.environ)}
        return from_any_version(RollOut, self._ask(request, report=report), name="the roll-out")

    def watch(self, deploy: Deploy, number: int, seconds: float) -> Failure | None:
        """What went wrong first with the release, which serves, within so many seconds; None: nothing."""
        request = {"do": "watch", "deploy": str(deploy), "number": number, "seconds": seconds}
        answer = self._ask(request, within_s=seconds + _SILENCE_S)
        return from_any_version(Failure | None, answer, name="what was seen")  # type: ignore[arg-type]  # a type form

    def abort(self, deploy: Deploy) -> None:
        """A roll-out in flight is undone, if nothing of it serves yet; `ended` tells what became of it."""
        if self.is_up():
            self._ask({"do": "abort", "deploy": str(deploy)})

    def ended(self, deploy: Deploy, number: int) -> RollOut | None:
        """How the roll-out of this release ended, waiting for one in flight; None if it never began."""
        if not self.is_up() and (self._home.run(deploy) / "intent.json").exists():
            self.up()
        if self.is_up():
            self._settle(deploy)
        try:
            return roll_outs.read_roll_out(self._home, deploy, number)
        except InvalidDocument as error:
            return RollOut(deploy, number, self._current_or_none(deploy) == number, error.message.rstrip("."))

    def scale(self, deploy: Deploy, changes: Mapping[str, int], by: Act | None = None) -> Formation:
        """That many processes of these types run.

        Raises: UnknownProcess, NothingReleased, AlteredLayer, RollOutFailed, Busy.
        """
        self._settle(deploy)
        self._check_current(deploy)
        answer = self._ask({"do": "scale", "deploy": str(deploy), "changes": dict(changes), "by": to_json(by)})
        return from_any_version(Formation, answer, name="the formation")

    def is_stopped(self, deploy: Deploy) -> bool:
        """Whether somebody has stopped the deploy and nobody has started it since."""
        return desired.is_stopped(self._home, deploy)

    def process_types(self, deploy: Deploy, number: int) -> tuple[ProcessType, ...]:
        """Those of a release. Raises: UnknownRelease."""
        return read_release(self._home, deploy, number).processes

    def formation(self, deploy: Deploy) -> Formation:
        """The counts that somebody has chosen."""
        return desired.read_formation(self._home, deploy)

    def restart(self, deploy: Deploy, process: str | None, by: Act | None = None) -> None:
        """New processes of the same release have taken the place of all, of a type's, or of one.

        As in a roll-out, nothing of the old ends before the new is ready.
        Raises: UnknownProcess, NothingReleased, AlteredLayer, RollOutFailed, RunError (it is stopped), Busy.
        """
        self._settle(deploy)
        self._check_current(deploy)
        self._ask({"do": "restart", "deploy": str(deploy), "process": process, "by": to_json(by)})

    def stop(self, deploy: Deploy, by: Act | None = None) -> None:
        """No process of the deploy runs until `start`, also after a reboot; its address answers 503.

        A supervisor that is gone is started, and nothing of the deploy with it.
        """
        ran = not self.is_up() and desired.mean_stopped(self._home, deploy)
        self.up(by)
        self._settle(deploy)
        self._ask({"do": "stop", "deploy": str(deploy), "by": to_json(by), "ran": ran})

    def start(self, deploy: Deploy, by: Act | None = None) -> None:
        """The deploy's formation runs again. Raises: NothingReleased, AlteredLayer, RunError, Busy."""
        self._settle(deploy)
        self._check_current(deploy)
        self._ask({"do": "start", "deploy": str(deploy), "by": to_json(by)})

    def processes(self, deploy: Deploy | None) -> tuple[ProcessStatus, ...]:
        """The processes of a deploy (None: of all); also those that a supervisor that is gone has left running."""
        from trivet.run.readings import measure

        statuses = self._told_processes(deploy) if self.is_up() else self._found_processes(deploy)
        usage = measure(self._home, statuses)
        memory = {pid: used.memory_bytes for pid, used in usage.items()}
        return tuple(replace(each, memory_bytes=memory.get(each.pid or 0)) for each in statuses)

    def troubles(self) -> Mapping[Deploy, str]:
        """What a person must know of deploys that are not as they are meant to be: the rest of "shop/production: …".

        None is known while no supervisor runs.
        """
        answer: Mapping[str, str] = self._ask({"do": "troubles"}) if self.is_up() else {}
        return {parse_deploy(deploy): str(text) for deploy, text in answer.items()}

    def check_address(self, deploy: Deploy, address: Address | None) -> None:
        """Nothing is changed. Raises: what `roll_out` would if it may not listen there (PortTaken, RunError).

        None, or port 0: where the deploy is reached now, or what would be chosen for it.
        """
        self._ask({"do": "check_address", "deploy": str(deploy), "address": to_json(address)})

    def check_build(self, build: Build) -> None:
        """Every byte of the build is what the build stage made. Raises: AlteredLayer, MachineError."""
        check_bundle(Inspection(self._home), build)

    def address(self, deploy: Deploy) -> Address | None:
        """Where the deploy is reached; None if no `web` process has ever served. Raises: InvalidDocument."""
        return desired.read_address(self._home, deploy)

    def current(self, deploy: Deploy) -> int | None:
        """The number of the release that is meant to run. Raises: InvalidDocument."""
        return current_release(self._home, deploy)

    def current_releases(self) -> Mapping[Deploy, int]:
        """The release that each deploy is meant to run, without those of which that cannot be read: `unread` has them."""
        found = ((deploy, self._current_or_none(deploy)) for deploy in desired.find_deploys(self._home))
        return {deploy: number for deploy, number in found if number is not None}

    def fallbacks(self) -> Mapping[Deploy, int]:
        """The release that a change, in flight or interrupted, may go back to. Raises: MachineError."""
        return in_use.find_fallbacks(self._home)

    def builds_in_use(self) -> frozenset[tuple[AppName, str]]:
        """App and id of every build that runs, is meant to run, or still has a process; told without any database.

        Raises: InvalidDocument, UnknownRelease, MachineError.
        """
        return in_use.find_builds(self._home)

    def appoint(self, deploy: Deploy, number: int) -> None:
        """The release is the one that is meant to run; nothing is started, and no supervisor may run. Raises: MachineError."""
        desired.make_folders(self._home, deploy)
        desired.write_current(self._home, deploy, number)

    def unread(self) -> Mapping[Deploy, tuple[TrivetError, ...]]:
        """Why what run/ says of these deploys cannot be read, each file's own reason; the others are not in it."""
        return find_unread(self._home)

    def logs(self, deploy: Deploy, choice: LogChoice, *, follow: bool) -> Iterator[LogLine]:
        """The lines that are chosen, by time; with `follow` those to come. Raises: UnknownProcess, UnknownRelease."""
        from trivet.run.logs import read_lines

        return read_lines(self._home, deploy, choice, follow=follow)

    def events(self, deploy: Deploy) -> tuple[Event, ...]:
        """What happened to the deploy's processes, and what people did to them, oldest first. Raises: MachineError."""
        return read_events(self._home, deploy)

    def schedule(self, deploy: Deploy) -> tuple[Plight, ...]:
        """What the release that is meant to run has scheduled. Raises: NothingReleased, InvalidDocument, MachineError."""
        from trivet.run import schedules

        why_not = "" if self.is_up() else "the supervisor is not running"
        return schedules.read_schedule(self._home, deploy, why_not)

    def scheduled_runs(self, deploy: Deploy, name: str | None) -> tuple[ScheduledRun, ...]:
        """The runs of what is called so (None: of all), oldest first, those that go on last. Raises: MachineError."""
        from trivet.run import schedules

        return schedules.read_runs(self._home, deploy, name)

    def run_scheduled(self, deploy: Deploy, name: str, by: Act | None, report: Report) -> ScheduledRun:
        """It was run, now, by the supervisor, whatever becomes of us; `report` is told "started".

        Raises: NothingReleased, AlteredLayer, UnknownProcess, Busy, RunError (it is stopped), SupervisorUnreachable.
        """
        self._check_current(deploy)
        request = {"do": "run_scheduled", "deploy": str(deploy), "name": name, "by": to_json(by)}
        answer = self._ask(request, within_s=_LONGEST_RUN_S, report=report)
        return from_any_version(ScheduledRun, answer, name="the run")

    def run_once(self, deploy: Deploy, number: int, command: tuple[str, ...], kind: ProcessType | None) -> "Ended":
        """How the command ended, run in the release's environment, attached to our terminal or files.

        One text is a shell line. With the limits of this process type; without a command, its own.
        Raises: UnknownRelease, AlteredLayer, RunError, CannotSeal.
        """
        from trivet.run.one_off import choose, run_attached

        release = read_release(self._home, deploy, number)
        self.check_build(release.build)
        return run_attached(choose(self._home, release, command, kind), self._enclosure())

    def run_part(self, deploy: Deploy, number: int, call: "Call", report_line: Callable[[str], None]) -> "Ran | None":
        """A command around the release was run, once, within its time; None if the release has none of this part.

        Each line is reported as it comes, and the whole output is kept. Raises: RunError, CannotSeal, MachineError.
        """
        from trivet.run.parts import Parts

        return Parts(self._home, deploy, number).run(call, self._enclosure(), report_line)

    def outputs(self, deploy: Deploy, number: int) -> tuple[KeptOutput, ...]:
        """What the commands around the release wrote, in the order in which they ran. Raises: InvalidDocument."""
        return outputs.read_all(self._home, deploy, number)

    def schema(self, deploy: Deploy, number: int) -> str | None:
        """The marker that the release's schema command printed, if there is one. Raises: InvalidDocument."""
        kept = outputs.read(self._home, deploy, number, Part.SCHEMA)
        return kept.output.marker if kept is not None else None

    def clear_away(self, deploy: Deploy) -> None:
        """Nothing is left of one-offs, release commands among them, whose command was killed, nor half of an output."""
        leftovers.clear_away_one_offs(self._home.temporary)
        outputs.sweep(self._home, deploy)

    def destroy(self, deploy: Deploy) -> None:
        """Nothing of the deploy runs, and its run/ and storage/ are gone."""
        if self._home.run(deploy).exists():
            self.up()
            self._ask({"do": "destroy", "deploy": str(deploy)})
        files.remove_tree(self._home.run(deploy))
        files.remove_tree(self._home.storage(deploy))

    def sealing(self) -> Sealing:
        """What this machine enforces on running processes."""
        return Sandbox().sealing

    def means(self) -> Means:
        """What this machine holds processes to their limits with, and ends them with."""
        if not self.is_up():
            return find_means()
        return from_any_version(Means, self._ask({"do": "means"}), name="the means")

    def _ask(self, request: Mapping[str, object], *, within_s: float = _SILENCE_S, report: Report | None = None) -> Any:
        return link.ask(self._home, request, within_s=within_s, report=report)

    def _settle(self, deploy: Deploy) -> None:
        """No change is in flight: whoever began one that was is gone, and it has ended within its own deadlines."""
        self._ask({"do": "settle", "deploy": str(deploy)})

    def _told_processes(self, deploy: Deploy | None) -> tuple[ProcessStatus, ...]:
        answer = self._ask({"do": "processes", "deploy": str(deploy) if deploy is not None else None})
        return from_any_version(tuple[ProcessStatus, ...], answer, name="the processes")

    def _found_processes(self, deploy: Deploy | None) -> tuple[ProcessStatus, ...]:
        deploys = desired.find_deploys(self._home) if deploy is None else (deploy,)
        return tuple(
            each.shown(owner)
            for owner in deploys
            for each in status.read_all(self._home.run(owner) / "status")
            if each.pid is not None and processes.start_time(each.pid) == each.start_time
        )

    def _current_or_none(self, deploy: Deploy) -> int | None:
        try:
            return current_release(self._home, deploy)
        except InvalidDocument:
            return None

    def _enclosure(self) -> Enclosure:
        return Enclosure(self._home, walls())

    def _answers(self, deadline: float) -> bool:
        try:
            self._ask({"do": "hello"}, within_s=_STARTS_WITHIN_S)
        except SupervisorUnreachable:
            if time.monotonic() > deadline:
                raise
            return False
        return True

    def _check_current(self, deploy: Deploy, inspection: Inspection | None = None) -> None:
        """What the supervisor is about to be asked to start is what was built; it says itself if there is nothing."""
        number = current_release(self._home, deploy)
        if number is not None:
            release = read_release(self._home, deploy, number)
            check_bundle(inspection or Inspection(self._home), release.build)

    def _find_altered(self) -> Mapping[Deploy, AlteredLayer]:
        """The deploys that are meant to run and whose build was altered. What cannot be read, the supervisor tells of."""
        altered: dict[Deploy, AlteredLayer] = {}
        inspection = Inspection(self._home)
        for deploy in desired.find_deploys(self._home):
            try:
                if not self.is_stopped(deploy):
                    self._check_current(deploy, inspection)
            except AlteredLayer as error:
                altered[deploy] = error
            except TrivetError:
                continue
        return altered


def _is_door_there(home: Home) -> bool:
    from trivet.run.door import link as door_link

    try:
        door_link.connect(home).close()
    except SupervisorUnreachable:
        return False
    return True

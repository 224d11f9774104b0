"""What a deploy has scheduled, if anything: the timetable is loaded when there is something to run first."""

import sys
from typing import TYPE_CHECKING

from trivet.errors import TrivetError, UnknownProcess
from trivet.model.names import Deploy
from trivet.model.release import Act, Release
from trivet.run.released import current_release, read_release
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.status import Status
from trivet.run.supervisor.yard import Yard

if TYPE_CHECKING:
    from trivet.model.scheduled_run import ScheduledRun
    from trivet.run.supervisor.timetable import OnRun, Timetable

_BOOK = "schedule.json"  # `schedule_book` writes it


class Times:
    """One deploy's."""

    def __init__(self, yard: Yard, deploy: Deploy) -> None:
        self._yard = yard
        self._deploy = deploy
        self._timetable: Timetable | None = None

    @property
    def processes(self) -> tuple[Process, ...]:
        """Those of the runs that go on."""
        return tuple(self._timetable.runs) if self._timetable is not None else ()

    def follow(self, *, is_wanted: bool) -> None:
        """The schedule is that of the release that is meant to run; not wanted: nothing is started, and nothing missed."""
        release = self._release() if is_wanted else None
        has_schedule = release is not None and bool(release.build.schedule)
        is_written = self._timetable is not None or (self._yard.home.run(self._deploy) / _BOOK).exists()
        if has_schedule or is_written:
            try:
                self._open().follow(release)
            except (OSError, TrivetError) as error:
                sys.stderr.write(f"trivet: {self._deploy}: nothing runs at its times: {error}\n")

    def rest(self) -> None:
        """Nothing is started any more; what runs is left alone."""
        if self._timetable is not None:
            self._timetable.rest()

    def close(self) -> None:
        """Another supervisor takes over."""
        if self._timetable is not None:
            self._timetable.rest()
            self._timetable.close()

    def adopt(self, status: Status, pidfd: int, *, to_end: bool) -> None:
        """A run that was found goes on, or ends."""
        self._open().adopt(status, pidfd, to_end=to_end)

    def lose(self, status: Status) -> None:
        """A run has ended that nobody saw end."""
        self._open().lose(status)

    def run_now(self, name: str, by: Act | None, listener: "OnRun") -> "ScheduledRun":
        """It runs; the listener is told how it ended. Raises: UnknownProcess, Busy, RunError, MachineError."""
        if self._timetable is None:
            raise UnknownProcess(
                f"{self._deploy} schedules nothing.", hint="[schedule] in trivet.toml says what runs at times."
            )
        return self._timetable.run_now(name, by, listener)

    def _release(self) -> Release | None:
        try:
            number = current_release(self._yard.home, self._deploy)
            return None if number is None else read_release(self._yard.home, self._deploy, number)
        except TrivetError as error:
            sys.stderr.write(f"trivet: {self._deploy}: nothing runs at its times: {error.message}\n")
            return None

    def _open(self) -> "Timetable":
        if self._timetable is None:
            from trivet.run.supervisor.timetable import Timetable
            from trivet.run.supervisor.wall_clock import WallClock

            self._timetable = Timetable(self._yard, self._deploy, WallClock(self._yard.loop))
        return self._timetable

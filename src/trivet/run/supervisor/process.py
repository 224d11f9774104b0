"""One process that is kept alive: started, watched through its pidfd, started again when it ends, ended when told."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from trivet.errors import MachineError, TrivetError
from trivet.host import processes, spawn
from trivet.host.cgroup import Cgroup
from trivet.model.event import EventKind
from trivet.model.run import ProcessState
from trivet.model.run_plan import ProcessPlan
from trivet.run.enclosure import Place
from trivet.run.plan import log_path
from trivet.run.supervisor import restart, status, way_in
from trivet.run.supervisor.account import Account
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.hold import Hold
from trivet.run.supervisor.inheritance import Inheritance
from trivet.run.supervisor.knock import Knock
from trivet.run.supervisor.loop import Alarm
from trivet.run.supervisor.order import order
from trivet.run.supervisor.output import Output
from trivet.run.supervisor.remains import Remains
from trivet.run.supervisor.status import Status
from trivet.run.supervisor.yard import Yard

Ended = Callable[["Process", str], None]
Gone = Callable[["Process"], None]
Tell = Callable[[EventKind, str, float | None, processes.Exit | None], None]


class Process:
    """One process of a release, whose output goes to `log`. `status` says how it is; its file in run/status says the same.

    While `on_end` is set (it is at the gate, or watched) its end is told there and it is not started again. `on_move` is
    told when it is reached elsewhere than before, `on_crash` when it ended by itself and is started again. `on_event` is told
    what happens to it, instead of the journal. `inheritance` is the listening socket that its program gets, if it does.
    """

    __slots__ = (
        "_account",
        "_alarm",
        "_child",
        "_empty",
        "_failure",
        "_gone",
        "_hold",
        "_output",
        "_place",
        "_remains",
        "_started",
        "_status_folder",
        "_yard",
        "belonging",
        "inheritance",
        "is_stopping",
        "is_watched",
        "log",
        "on_crash",
        "on_end",
        "on_event",
        "on_move",
        "plan",
        "status",
    )

    def __init__(self, yard: Yard, belonging: Belonging, plan: ProcessPlan, found: Status | None = None) -> None:
        self._yard = yard
        self.belonging = belonging
        self.plan = plan
        # Kept: putting a path together takes longer than most of what a start does.
        self.log = log_path(yard.home, belonging.deploy, belonging.release, plan.name)
        self._output = Output(self.log)
        self._account = Account(yard.journal, belonging, plan.name, self._output)
        self._status_folder = yard.home.run(belonging.deploy) / "status"
        self.on_end: Ended | None = None
        self.on_move: Gone | None = None
        self.on_crash: Ended | None = None
        self.on_event: Tell | None = None
        self.is_watched = False
        self.inheritance: Inheritance | None = None
        self.status = found or Status(
            release=belonging.release,
            process=plan.name,
            turn=belonging.turn,
            state=ProcessState.STARTING,
            port=yard.ports.take() if plan.has_port and not plan.inherits else None,
            boot_id=yard.boot_id,
            since=time.time(),
            inherits=plan.inherits,
        )
        self._hold = Hold(yard, (belonging.deploy, self.status.name), plan.limits)
        self._child: spawn.Child | None = None
        self._empty = ""  # the temporary folder of before, if nobody is left who has it
        self._failure: str | None = None
        self._alarm: Alarm | None = None
        self._gone: tuple[Gone, ...] = ()
        self.is_stopping = False
        self._place: Place | None = None
        self._remains: Remains | None = None
        self._started = time.monotonic()

    @property
    def name(self) -> str:
        """Unique within the deploy: `v12.web.1`."""
        return self.status.name

    @property
    def group(self) -> Cgroup | None:
        """What it and all that it has started are in, if there are control groups."""
        return self._hold.group

    def start(self) -> None:
        """The process exists; whether its program runs is told later. Raises: OSError, MachineError."""
        yard = self._yard
        temporary = yard.make_temporary(self._empty)
        self.status = replace(self.status, temporary=str(temporary), since=time.time())
        try:
            self._child = child = self._spawn(temporary)
        except (OSError, ValueError, MachineError):
            self._yard.leftovers.take(str(temporary))
            raise
        self._started = time.monotonic()
        self.status = replace(self.status, pid=child.pid, start_time=processes.start_time(child.pid))
        yard.loop.watch(child.pidfd, self._on_exit)
        if child.report >= 0:
            yard.loop.watch(child.report, self._on_report)
        else:
            yard.loop.soon(partial(self._settle_in, child))
        yard.logs.follow(self.log)
        self.tell(EventKind.RESTARTED if self.status.restarts else EventKind.STARTED)

    def _spawn(self, temporary: Path) -> spawn.Child:
        if self._place is None:
            self._place = self._yard.enclosure.place(self.belonging.deploy, self.plan.reads)
        place = self._place
        log, null = self._output.open(place), os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._bear(self._command(place, temporary, (null, log, log)), place, temporary)
        finally:
            os.close(null)
            os.close(log)

    def start_for_good(self) -> None:
        """It runs, and is started again whenever it ends or cannot be started: what once was good is kept alive."""
        self._try_to_start()

    def adopt(self, pidfd: int) -> None:
        """The process, found running, is watched as if we had started it."""
        pid = self.status.pid or 0
        self._child = spawn.Child(pid, pidfd, -1)
        self._hold.adopt(pid)
        self._started = time.monotonic() - max(0.0, time.time() - self.status.since)
        if self.status.port is not None:
            self._yard.ports.keep(self.status.port)
        self._yard.loop.watch(pidfd, self._on_exit)
        self._yard.logs.follow(self.log)
        self.tell(EventKind.ADOPTED)

    def serve(self, on_end: Ended) -> None:
        """It is one of those that run; its end is still told, and it is not started again."""
        self.on_end, self.is_watched = on_end, True
        self._set(state=ProcessState.RUNNING)

    def let_be(self) -> None:
        """It runs on, and is watched no more: another supervisor adopts it."""
        self._close()

    def become_ready(self) -> None:
        """From now on it is started again whenever it ends."""
        self.on_end, self.is_watched = None, False
        self._set(state=ProcessState.RUNNING)

    def tell(
        self, kind: EventKind, how: str = "", after_s: float | None = None, ended: processes.Exit | None = None
    ) -> None:
        """The journal says that this happened to the process; that it crashed, once something else did or was tried."""
        if self.on_event is not None:
            self.on_event(kind, how, after_s, ended)
            return
        self._account.tell(self._account.event(kind, self.status.pid, how, after_s), ended)

    def last_words(self) -> tuple[str, ...]:
        """The last lines that it has written."""
        return self._output.words.last()

    def when_gone(self, *actions: Gone) -> None:
        """These are called once it has ended as it was told."""
        self._gone += actions

    def stop(self, grace_s: float | None = None) -> None:
        """It has been told to end, and is killed with its whole group after its grace."""
        if self.is_stopping:
            return
        self.is_stopping, self.is_watched, self.on_end = True, False, None
        if self._child is None:
            self._cancel_alarm()
            self._yard.loop.soon(self._finish)
            return
        self._set(state=ProcessState.STOPPING)
        self._tell_to_end(self._child)
        patience_s = self.plan.grace_s if grace_s is None else grace_s
        self._alarm = self._yard.loop.after(patience_s, partial(self._kill, self._child))

    def _tell_to_end(self, child: spawn.Child) -> None:
        if self.plan.ends_as_group:
            processes.signal_leader(child.pidfd, child.pid, signal.SIGTERM)
        else:
            processes.send_signal(child.pidfd, signal.SIGTERM)

    def _kill(self, child: spawn.Child) -> None:
        processes.send_signal(child.pidfd, signal.SIGKILL)
        processes.signal_group(child.pid, signal.SIGKILL)
        self._hold.kill()
        if self._remains is not None:
            self._end(child)

    def _on_exit(self) -> None:
        child = self._child
        if child is None:
            return
        if self.is_stopping and self.plan.ends_as_group and self._remains is None:
            # The shell ends at once; what it has started has the same grace to end in.
            self._yard.loop.forget(child.pidfd)
            self._remains = Remains(self._yard.loop, child.pid, partial(self._end, child))
        else:
            self._end(child)

    def _end(self, child: spawn.Child) -> None:
        if self._remains is not None:
            self._remains.close()
            self._remains = None
        # Before it is reaped: its number, which is its group's, cannot have been given to somebody else.
        processes.signal_group(child.pid, signal.SIGKILL)
        self._hold.kill()
        self._on_report()
        failure, self._failure = self._failure or child.failure, None
        ended = processes.exit_of(child.pidfd)
        ending = self._hold.ending(ended, was_told=self.is_stopping)
        up_s = time.monotonic() - self._started
        self._close()
        temporary = self.status.temporary
        how = f"could not be started ({failure})" if failure else ending.told
        self.tell(self._kind_of_end(), how, up_s, None if failure else ended)
        self.status = replace(self.status, pid=None, start_time=None, last_exit=failure or ending.shown)
        if not self.is_stopping and self.on_end is None:
            if self.on_crash is not None:
                self.on_crash(self, how)
            self._empty = temporary if self._hold.is_clean else ""
            self._start_again(how, up_s)
            self._empty = ""
            self._account.catch_up()
            if self._child is None or temporary != self.status.temporary:
                self._yard.leftovers.take(temporary)  # last: whoever waits for the process does not wait for this
        else:
            self._account.catch_up()
            self._yard.leftovers.take(temporary)
            self._leave(how if failure else f"{how} after {up_s:.1f} s")

    def _kind_of_end(self) -> EventKind:
        if not self.is_stopping and (self.on_end is None or self.is_watched):
            return EventKind.CRASHED
        is_new = not self.is_stopping and self.status.state is ProcessState.STARTING
        return EventKind.FAILED if is_new else EventKind.ENDED

    def _leave(self, how: str) -> None:
        self._output.tell("")
        if self.is_stopping:
            self._finish()
        elif self.on_end is not None:
            tell, self.on_end = self.on_end, None
            tell(self, f"{self.plan.name} {how}")

    def _start_again(self, how: str, up_s: float) -> None:
        before = restart.Restarts(self.status.restarts, self.status.streak)
        restarts, wait_s = restart.after_exit(before, up_s)
        self.status = replace(self.status, restarts=restarts.count, streak=restarts.streak)
        if wait_s == 0:
            self._try_to_start()
        else:
            self._hold.rest()
            self._yard.ports.guard(self.status.port)
            self._set(state=ProcessState.BACKOFF, since=time.time())
            self._alarm = self._yard.loop.after(wait_s, self._try_to_start)
        self._output.tell(restart.crash_line(self.plan.name, how, restarts, wait_s))

    def _try_to_start(self) -> None:
        if self.status.state is not ProcessState.RUNNING:
            self.status = replace(self.status, state=ProcessState.RUNNING)
        try:
            self._yard.ports.unguard(self.status.port)
            self._leave_lost_port()
            self.start()
            if self.status.uses_socket:
                self._tell_moved()
        except (OSError, ValueError, MachineError) as error:  # ValueError: an environment that no program can have
            how = f"could not be started ({error})"
            self._yard.logs.reserve.give_up_if_full()  # for the next attempt
            self.tell(EventKind.CRASHED, how)
            self._account.catch_up()
            self._start_again(how, 0.0)

    def _leave_lost_port(self) -> None:
        port, ports = self.status.port, self._yard.ports
        if port is None or self.inheritance is not None or self.status.uses_socket or not ports.is_lost(port):
            return
        moved = ports.take()
        ports.give_back(port)
        self.status = replace(self.status, port=moved)
        self._output.tell(f"trivet: somebody else listens on port {port}; {self.plan.name} gets {moved}\n")
        self._tell_moved()

    def use_socket(self) -> None:
        """It has been found to listen on its Unix socket: that is where it is reached from here on."""
        self.status = replace(self.status, uses_socket=True)
        self._set(state=self.status.state)
        self._tell_moved()

    def _tell_moved(self) -> None:
        if self.on_move is not None:
            self._yard.loop.soon(partial(self.on_move, self))

    def _finish(self) -> None:
        gone, self._gone = self._gone, ()
        self._cancel_alarm()
        if self.status.port is not None:
            self._yard.ports.give_back(self.status.port)
        self.disinherit()
        self._hold.close()
        status.remove(self._status_folder, self.status)
        for action in gone:
            action(self)

    @property
    def knock(self) -> Knock | None:
        """Makes a connection to it, whoever serves; None: it takes none."""
        return way_in.knock_of(self.status) if self.inheritance is None else self.inheritance.knock

    def inherit(self, inheritance: Inheritance) -> None:
        """Its program will be given this socket, whose port counts as its own."""
        self.inheritance = inheritance
        self.status = replace(self.status, port=inheritance.address.port)

    def disinherit(self) -> None:
        """Its socket, if it has one, takes no connection any more."""
        if self.inheritance is not None:
            with contextlib.suppress(TrivetError):  # no front door can be started: then none holds it either
                self.inheritance.close()

    def _command(self, place: Place, temporary: Path, files: tuple[int, int, int]) -> spawn.Command:
        environment = {**place.variables, **way_in.environment(self.plan, self.status, temporary)}
        command = order(self.plan, environment, files, self.inheritance)
        return replace(command, open_files=self._yard.open_files, cell=self._hold.begin())

    def _bear(self, command: spawn.Command, place: Place, temporary: Path) -> spawn.Child:
        announcement = status.Announcement(self._status_folder, self.status)
        what = self._yard.enclosure.sandbox, place.walls(temporary, self.log), announcement.write
        confinement = spawn.Confinement(*what, output=self.log, user=place.user)
        return self._yard.cradle.spawn(command, confinement, announcement.begin)

    def _on_report(self) -> None:
        """The program runs, or never will, and then its exit follows."""
        child = self._child
        if child is None or child.report < 0:
            return
        try:
            self._failure = spawn.read_failure(child.report)
        except BlockingIOError:
            return
        self._yard.loop.forget(child.report)
        os.close(child.report)
        self._child = replace(child, report=-1)

    def _settle_in(self, child: spawn.Child) -> None:
        if self._child is child:
            self._set(state=self.status.state)

    def _set(self, *, state: ProcessState, since: float | None = None) -> None:
        self.status = replace(self.status, state=state, since=self.status.since if since is None else since)
        with contextlib.suppress(OSError):  # what the file misses is found out anew at the next start
            status.write(self._status_folder, self.status)

    def _close(self) -> None:
        child, self._child = self._child, None
        self._cancel_alarm()
        for descriptor in (child.pidfd, child.report) if child is not None else ():
            if descriptor >= 0:
                self._yard.loop.forget(descriptor)
                os.close(descriptor)

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

"""How a client starts a supervisor: the first one of a home, or one of another version in the place of the one that runs."""

import os
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from trivet.errors import SupervisorUnreachable
from trivet.host import files, processes, sandbox, spawn
from trivet.host.processes import Exit
from trivet.host.sandbox import Sandbox
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Act
from trivet.run import log_limits
from trivet.run.code import installed, is_newer, version_of
from trivet.run.log_files import last_lines
from trivet.run.supervisor import launch, link

_ALLOW_MUTABLE = "TRIVET_ALLOW_MUTABLE"
_ANSWERS_WITHIN_S = 60.0
_TAKES_OVER_WITHIN_S = 120.0
_POLL_S = 0.005
# In this locale Python takes everything for UTF-8, too, and nothing has to be loaded for it: 0.1 MB.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Start:
    """The start of a home's supervisor, by whoever asks for it."""

    def __init__(self, home: Home, by: Act | None = None) -> None:
        self._home = home
        self._by = by

    def running(self) -> str | None:
        """The code of the supervisor that runs, as it tells it ("": it does not); None if none runs."""
        return str(answer.get("version", "")) if (answer := self._hello()) is not None else None

    def begin(self, altered: Collection[Deploy], deadline: float) -> None:
        """A supervisor is started, and listens or has ended: well, if another one was there first.

        Nothing is started of the deploys that are `altered`. Raises: CannotSeal, SupervisorUnreachable.
        """
        self._start(self._command(altered), lambda child: link.is_listening(self._home), deadline)

    def renew(self, find_altered: Callable[[], Collection[Deploy]]) -> str | None:
        """A supervisor of the code that is installed has taken over from the one that runs, of the version returned.

        None: there was nothing to do, or the one that runs is of a later version.
        Raises: Busy (a change is in flight), RunError (it did not come to that); then the old one goes on.
        """
        hello, now = self._hello() or {}, installed()
        before = str(hello.get("version", ""))
        if not hello or before == now or is_newer(before, now):
            return None
        link.ask(self._home, {"do": "check_hand_over"}, within_s=_ANSWERS_WITHIN_S)
        altered, deadline = find_altered(), time.monotonic() + _TAKES_OVER_WITHIN_S
        if hello.get("in_foreground"):
            self._start(self._command(altered, launch.TRY), lambda child: False, deadline)
            self._turn_into(self._command(altered, launch.FOREGROUND), now, deadline)
        else:
            self._start(self._command(altered, launch.TAKE_OVER), self._is_supervisor, deadline)
        return version_of(before)

    def become(self, altered: Collection[Deploy]) -> NoReturn:
        """This process is the supervisor from here on."""
        spawn.become(self._command(altered, launch.FOREGROUND))

    def _turn_into(self, command: spawn.Command, code: str, deadline: float) -> None:
        """The supervisor that runs is this one, and still the process that an init system has started."""
        request = {"do": "become", "argv": command.argv, "environment": dict(command.environment)}
        link.ask(self._home, request, within_s=_ANSWERS_WITHIN_S)
        while self.running() != code:
            if time.monotonic() > deadline:
                log = launch.log_path(self._home)
                raise SupervisorUnreachable(
                    "The supervisor is not back yet.", hint=f"{log}, or the journal, says more."
                )
            time.sleep(_POLL_S)

    def _start(self, command: spawn.Command, runs: Callable[[spawn.Child], bool], deadline: float) -> None:
        walls()
        files.make_directories(self._home.supervisor, mode=0o700)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        log = os.open(launch.log_path(self._home), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            child = spawn.spawn(replace(command, files=(null, log, log)))
        finally:
            os.close(log)
            os.close(null)
        try:
            self._await(child, runs, deadline)
        finally:
            os.close(child.report)
            os.close(child.pidfd)

    def _await(self, child: spawn.Child, runs: Callable[[spawn.Child], bool], deadline: float) -> None:
        while not runs(child) and time.monotonic() < deadline:
            if processes.start_time(child.pid) is None:
                ended = processes.exit_of(child.pidfd)
                if ended.status != 0:
                    raise self._not_started(ended)
                return
            time.sleep(_POLL_S)

    def _is_supervisor(self, child: spawn.Child) -> bool:
        return (answer := self._hello()) is not None and answer["pid"] == child.pid

    def _hello(self) -> dict[str, object] | None:
        try:
            return dict(link.ask(self._home, {"do": "hello"}, within_s=_ANSWERS_WITHIN_S))
        except SupervisorUnreachable:
            return None

    def _not_started(self, ended: Exit) -> SupervisorUnreachable:
        log, before = launch.log_path(self._home), self.running()
        goes_on = f" The one that ran, of Trivet {version_of(before)}, goes on." if before is not None else ""
        return SupervisorUnreachable(
            f"The supervisor did not start: it {ended.told}.{goes_on}",
            hint=f"{log} says more.",
            detail=last_lines(log, 5),
        )

    def _command(self, altered: Collection[Deploy], *more: str) -> spawn.Command:
        mutable = (launch.ALLOW_MUTABLE,) if _allows_mutable() else ()
        version = f"{launch.VERSION}{installed()}"
        options = (version, *mutable, *(f"{launch.ALTERED}{deploy}" for deploy in altered), *more)
        environment = {**_ENVIRONMENT, **launch.environment_saying(self._by), **log_limits.handed_on(os.environ)}
        return spawn.Command(launch.argv(self._home, *options), environment, Path("/"), (0, 1, 2))


def walls() -> Sandbox:
    """What keeps a running process from changing its code. Raises: CannotSeal: this machine has nothing that does."""
    sealed = Sandbox()
    sandbox.check(sealed.sealing, allow_mutable=_allows_mutable())
    return sealed


def _allows_mutable() -> bool:
    return os.environ.get(_ALLOW_MUTABLE) == "1"

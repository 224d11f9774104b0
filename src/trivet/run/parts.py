"""Parts: the commands around a release, each run once as a one-off of it, within its time, and its output kept.

The release command and what asks for the schema's marker have the release's whole environment. A hook has no value of the
config in its own: docs/decisions/0013-hooks-and-notifications.md.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path

from trivet.host.clock import now
from trivet.model.config import Config
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.output import HOOKS_FOLDER, Output, Part
from trivet.model.process import Limits, find_process_type
from trivet.model.release import Release
from trivet.model.schema import read_marker, schema_command
from trivet.run import outputs
from trivet.run.capture import Capture
from trivet.run.command import shell_argv
from trivet.run.enclosure import Enclosure
from trivet.run.log_files import append_to_log
from trivet.run.one_off import Ended, OneOff, run_captured
from trivet.run.plan import log_path, release_environment
from trivet.run.released import check_runnable, read_environment, read_release

_LOGGED_BYTES = 16 * 1024 * 1024
_SHORTEST_SECRET = 8  # a shorter value may be in a marker by chance


@frozen
class Call:
    """Which of them is to run; `variables` are what a hook is told besides."""

    part: Part
    variables: Mapping[str, str] = field(default_factory=dict)


@frozen
class Ran:
    """How it ended, and the last lines that it wrote."""

    output: Output
    last: tuple[str, ...]


def find_command(release: Release, part: Part) -> str | None:
    """The command as a person knows it; None if the release has none of this part."""
    if part.is_hook:
        return f"{HOOKS_FOLDER}/{part}" if part in release.build.hooks else None
    if part is Part.SCHEMA:
        schema = release.build.release.schema
        return None if schema is None else schema_command(schema)
    process = find_process_type(release.processes, part)
    return None if process is None else process.command


class Parts:
    """The commands around one release on this machine. Raises (the constructor): UnknownRelease, RunError."""

    def __init__(self, home: Home, deploy: Deploy, number: int) -> None:
        self._home = home
        self._release = read_release(home, deploy, number)
        check_runnable(home, self._release)

    def run(self, call: Call, enclosure: Enclosure, report_line: Callable[[str], None]) -> Ran | None:
        """It has ended, with all that it started; None if the release has none. Raises: RunError, MachineError."""
        command = find_command(self._release, call.part)
        if command is None:
            return None
        output = Output(call.part, command, now())
        kept = outputs.begin(self._home, self._release.deploy, self._release.number, output)
        try:
            capture = Capture(_Sink(kept, self._log(call.part)).write, report_line)
            end = run_captured(self._one_off(call, command), enclosure, capture, self._timeout_s(call.part))
        finally:
            kept.close()
        ended = self._ended(output, end, capture.printed)
        ended = replace(ended, left_out_bytes=kept.left_out_bytes)
        outputs.write(self._home, self._release.deploy, self._release.number, ended)
        return Ran(ended, capture.last)

    def _log(self, part: Part) -> Path | None:
        """Of the release command: it is one of the release's processes, too."""
        deploy, number = self._release.deploy, self._release.number
        return log_path(self._home, deploy, number, f"{part}.1") if part is Part.RELEASE else None

    def _one_off(self, call: Call, command: str) -> OneOff:
        home, release = self._home, self._release
        argv = shell_argv(command)[0]
        config = Config() if call.part.is_hook else self._config()
        if call.part.is_hook:
            # By way of a shell, so that a script without #! is one for it, and a missing interpreter is told in the output.
            path = home.bundle(release.deploy.app, release.build.id) / HOOKS_FOLDER / call.part
            argv = ("/bin/sh", "-c", 'exec "$0"', str(path))
        environment = {**release_environment(home, release, config), **call.variables}
        kind = find_process_type(release.processes, call.part) if call.part is Part.RELEASE else None
        limits = Limits() if kind is None else kind.limits
        is_asked = call.part is Part.SCHEMA
        return OneOff(home, release, environment, argv, f"{call.part}.1", answers=is_asked, limits=limits)

    def _config(self) -> Config:
        """Of the release, with its values; a hook, which gets none, is run where it is gone as well."""
        return read_environment(self._home, self._release.deploy, self._release.number)

    def _timeout_s(self, part: Part) -> float:
        settings = self._release.build.release
        return settings.hook_timeout_s if part.is_hook else settings.timeout_s

    def _ended(self, output: Output, end: Ended, printed: bytes) -> Output:
        status = end.status
        want = None if status == 0 else end.want
        ended = replace(output, ended_at=now(), status=status, is_timed_out=status is None, out_of_memory=want)
        schema = self._release.build.release.schema
        if output.part is not Part.SCHEMA or schema is None or status != 0:
            return ended
        marker = read_marker(schema, printed.decode(errors="replace"))
        if marker is None:
            return replace(ended, fault="it printed nothing that could be one")
        told = [
            key for key, value in self._config().values.items() if len(value) >= _SHORTEST_SECRET and value in marker
        ]
        if told:
            return replace(ended, fault=f"it printed the value of the config key {told[0]}")
        return replace(ended, marker=marker)


class _Sink:
    """Where output goes: it is kept, and the beginning of the release command's is in the logs of the processes as well."""

    def __init__(self, kept: outputs.Keeping, log: Path | None) -> None:
        self._kept = kept
        self._log = log
        self._room = _LOGGED_BYTES

    def write(self, data: bytes) -> None:
        self._kept.write(data)
        if self._log is not None and self._room > 0:
            self._room -= len(data)
            with contextlib.suppress(OSError):  # a full disk ends no command
                append_to_log(self._log, data)

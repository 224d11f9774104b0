"""A child that is born by a script is what a fork would have made of it, and so is what kept it from its program."""

import contextlib
import os
import platform
import select
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from trivet.host import processes, spawn
from trivet.host.birth import Births
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.script import Stage
from trivet.host.spawn import Child, Command, Confinement
from trivet.host.user import User

_DEADLINE_S = 30.0
_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
_REPORT = """
grep -E '^(Uid|Gid|Groups|Umask|Seccomp|NoNewPrivs|Sig(Blk|Ign|Cgt)|Cap...):' /proc/self/status
env | sort
pwd -P
ulimit -n
set -- $(cut -d ' ' -f 1,4,6 /proc/$$/stat) "$@"
[ "$1" = "$3" ] && echo leads a session
[ "$2" = "$4" ] && echo is our child
ls /proc/$$/fd
readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2
shift 4
for path; do
    (: < "$path") 2> /dev/null && echo reads "$path"
    (: >> "$path") 2> /dev/null && echo writes "$path"
done
"""

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="scripts are for x86-64 alone")


@dataclass(frozen=True)
class _Ground:
    """Where a child is put: an open folder, one that it may not write to, its log, and where its trace goes."""

    top: Path
    sandbox: Sandbox

    @property
    def command(self) -> Command:
        shown = (self.top / "own" / "file", self.top / "closed" / "file", Path("/etc/passwd"), self.top / "log")
        report = ("/bin/sh", str(self.top / "report"), str(os.getpid()), *map(str, shown))
        environment = {"PATH": "/usr/bin:/bin", "WORD": "ünïcode = $", "PWD": "/nowhere"}
        return Command(report, environment, self.top / "link", (0, 0, 0), open_files=512)

    def confinement(self, user: User | None) -> Confinement:
        walls = Walls((self.top / "own", self.top / "more"), (self.top / "log",))
        return Confinement(self.sandbox, walls, output=self.top / "log", user=user)

    def trace(self) -> tuple[int, int]:
        return os.open(self.top / "trace", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), 64

    def run(self, by_script: bool, command: Command, user: User | None = None) -> tuple[str, str | None]:
        """What it has written, and what kept it from its program."""
        (self.top / "log").write_text("")
        births = Births(self.sandbox)
        with _files(self.top / "log") as files:
            command = replace(command, files=files)
            confinement = self.confinement(user)
            child = births.spawn(command, confinement, self.trace) if by_script else spawn.spawn(command, confinement)
        assert (child.playing is not None) is by_script
        _wait(child)
        failure = spawn.read_failure(child.report) if child.playing is None else child.playing.failure
        processes.exit_of(child.pidfd)
        os.close(child.pidfd)
        if child.report >= 0:
            os.close(child.report)
        assert births.settle()
        return (self.top / "log").read_text(), failure


@pytest.fixture
def ground(tmp_path: Path) -> _Ground:
    for folder in (tmp_path, *tmp_path.parents[:3]):  # one of them a worker's own
        if folder != Path(tempfile.gettempdir()):
            folder.chmod(0o711)
    for name in ("own", "more", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "closed" / "file").write_text("")
    (tmp_path / "closed" / "file").chmod(0o666)
    (tmp_path / "own" / "file").write_text("")
    (tmp_path / "own" / "file").chmod(0o666)
    (tmp_path / "report").write_text(_REPORT)
    (tmp_path / "log").write_text("")
    (tmp_path / "log").chmod(0o622)
    (tmp_path / "link").symlink_to("own")
    return _Ground(tmp_path, Sandbox())


@pytest.mark.parametrize(
    "user",
    [
        None,
        pytest.param(User(70_000, 70_000, "app"), marks=_ROOT_ONLY),
        pytest.param(User(70_000, 70_000, "app", passes=True), marks=_ROOT_ONLY),
    ],
)
@pytest.mark.parametrize("words", [(), ("sh",)])
def test_a_child_born_by_a_script_is_what_a_fork_would_have_made(
    ground: _Ground, user: User | None, words: tuple[str, ...]
) -> None:
    command = ground.command
    if words:
        command = replace(command, words=(*words, *command.argv[1:]))
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        forked, born = (ground.run(by_script, command, user) for by_script in (False, True))
    finally:
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    assert born[0].splitlines() == forked[0].splitlines()
    assert (born[1], forked[1]) == (None, None)
    assert "NoNewPrivs:\t1" in born[0]
    assert f"PWD={ground.top / 'own'}\n" in born[0]


def test_it_leaves_the_kernels_line_of_itself_before_it_is_its_program(ground: _Ground) -> None:
    (ground.top / "report").write_text("exec cat /proc/self/stat")
    told, _ = ground.run(True, ground.command)
    left = processes.told_by((ground.top / "trace").read_bytes()[64:].partition(b"\n")[0])
    assert left == processes.told_by(told.encode())
    assert left is not None


@pytest.mark.parametrize("what", ["folder", "program", "walls", "text"])
def test_what_keeps_it_from_its_program_is_told_as_of_a_fork(ground: _Ground, what: str) -> None:
    command = {
        "folder": replace(ground.command, folder=ground.top / "nothing"),
        "program": replace(ground.command, argv=("/nothing/of/the/kind",)),
        "walls": replace(ground.command, argv=("/etc/passwd",)),
        "text": replace(ground.command, words=("nothing",), argv=("/nothing/either",)),
    }[what]
    forked = ground.run(False, command)
    assert forked[1] is not None
    if what == "folder":  # it is not even tried
        return
    assert ground.run(True, command) == forked


def test_many_may_be_on_their_way_at_once(ground: _Ground) -> None:
    births, children = Births(ground.sandbox), []
    for number in range(40):
        with _files(ground.top / "log") as files:
            command = Command(("/bin/sh", "-c", f"exit {number}"), {}, ground.top, files)
            children.append(births.spawn(command, ground.confinement(None), ground.trace))
    ended = []
    for child in children:
        _wait(child)
        ended.append(processes.exit_of(child.pidfd).status)
        os.close(child.pidfd)
    assert ended == list(range(40))
    assert births.settle()
    assert sum(child.playing is not None for child in children) > 1


def test_a_stage_has_room_again_for_what_comes_after() -> None:
    stage = Stage()
    for _ in range(100):
        script = stage.begin()
        script.place(bytes(1 << 20))
        script.call(231, 3)  # exit_group
        playing = stage.play(script)
        assert playing is not None
        os.waitid(os.P_PIDFD, playing.pidfd, os.WEXITED | os.WNOWAIT)
        assert processes.exit_of(playing.pidfd).status == 3
        os.close(playing.pidfd)
        assert playing.failure is None
        assert stage.settle()


@contextlib.contextmanager
def _files(log: Path) -> Iterator[tuple[int, int, int]]:
    null, out = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        yield null, out, out
    finally:
        os.close(null)
        os.close(out)


def _wait(child: Child) -> None:
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    assert poll.poll(_DEADLINE_S * 1000)

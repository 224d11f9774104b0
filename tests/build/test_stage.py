"""The build stage as flows use it: found or made, whole or not at all, and nothing of the caller's in it."""

import contextlib
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.building import APP, WAYS, Builder
from support.command import eventually
from support.repository import Repository
from support.watched import watched
from trivet.build import list_builds, read_build, read_log, remove_builds, verify_layer
from trivet.build.scratch import sweep
from trivet.errors import BuildError, InvalidFile, MachineError, SourceError, StepFailed
from trivet.host.files import remove_tree
from trivet.host.seclusion import Seclusion
from trivet.model.home import Home

PROCFILE = {"Procfile": "web: python3 -m http.server $PORT\n"}


def _commands(*commands: str, environment: str = "") -> dict[str, str | None]:
    return {**PROCFILE, "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n{environment}"}


def _left_in(home: Home) -> set[str]:
    return {path.name for path in home.scratch.iterdir()} - {"gate"}


def test_a_build_holds_the_commit_its_processes_and_its_layers(builder: Builder) -> None:
    built = builder.commit({**PROCFILE, "a.txt": "hello"})
    build = built.build
    assert not built.found
    assert (build.app, build.builder, build.source.subject) == (APP, "procfile", "Change")
    assert [process.name for process in build.processes] == ["web"]
    assert builder.read(build, "a.txt") == "hello"
    assert len(build.id) == 12
    assert builder.told.steps == [f"exporting {build.source.short} Change"]
    assert _left_in(builder.home) == set()


def test_the_bundle_has_relative_links_to_its_layers(builder: Builder, tmp_path: Path) -> None:
    build = builder.commit(PROCFILE).build
    link = builder.bundle(build) / "app"
    assert str(link.readlink()) == f"../../../../../layers/{build.layers[0].digest}"
    builder.home.root.rename(tmp_path / "moved")
    moved = Home(tmp_path / "moved")
    assert (moved.bundle(APP, build.id) / "app" / "Procfile").is_file()
    for layer in build.layers:
        verify_layer(moved, layer)


def test_a_build_is_read_back_and_listed_newest_first(builder: Builder) -> None:
    one = builder.commit({**PROCFILE, "a": "1"}).build
    two = builder.commit({**PROCFILE, "a": "2"}).build
    assert read_build(builder.home, APP, one.id) == one
    assert list_builds(builder.home, APP) == (two, one)


@pytest.mark.parametrize("build_id", ["0123456789ab", "..", ".", "", "../shop"])
def test_an_unknown_build_is_an_error(builder: Builder, build_id: str) -> None:
    builder.commit(PROCFILE)
    for read in (read_build, read_log):
        with pytest.raises(BuildError) as caught:
            read(builder.home, APP, build_id)
        assert caught.value.message == f"shop has no build {build_id!r}."
        assert caught.value.hint == "`trivet builds` lists the builds of an app."


def test_an_app_without_builds_has_an_empty_list(builder: Builder) -> None:
    assert list_builds(builder.home, APP) == ()
    remove_builds(builder.home, APP)


def test_removed_builds_are_gone_and_can_be_made_again(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    remove_builds(builder.home, APP)
    assert list_builds(builder.home, APP) == ()
    assert not builder.home.builds(APP).exists()
    again = builder.build()
    assert (again.build.id, again.found) == (build.id, False)


def test_the_same_commit_is_found_and_not_made_again(builder: Builder) -> None:
    first = builder.commit(_commands("date +%N > stamp"))
    second = builder.build("main")
    assert second.found
    assert second.build == first.build
    assert second.settings == first.settings
    assert builder.told.steps == []
    assert len(list_builds(builder.home, APP)) == 1


def test_a_rebuild_makes_it_again(builder: Builder) -> None:
    first = builder.commit(_commands("date +%N > stamp"))
    second = builder.build(rebuild=True)
    assert not second.found
    assert second.build.id != first.build.id
    assert {build.id for build in list_builds(builder.home, APP)} == {first.build.id, second.build.id}
    assert builder.build().build == second.build


def test_a_rebuild_that_makes_the_same_is_the_same_build(builder: Builder) -> None:
    first = builder.commit(_commands("echo same > made"))
    second = builder.build(rebuild=True)
    assert (second.found, second.build) == (False, first.build)
    assert len(list_builds(builder.home, APP)) == 1


def test_another_folder_is_another_build(builder: Builder) -> None:
    builder.repository.commit({"one/Procfile": "web: one", "two/Procfile": "web: two"})
    one, two = builder.build(directory="one"), builder.build(directory="two")
    assert [built.build.processes[0].command for built in (one, two)] == ["one", "two"]
    assert not two.found


def test_a_build_whose_checkout_is_gone_is_found_and_checked_out_again(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    remove_tree(builder.home.layers / build.layers[0].digest)
    again = builder.build()
    assert (again.found, again.build.id) == (True, build.id)
    verify_layer(builder.home, build.layers[0])


def test_a_build_whose_layer_is_gone_is_made_again(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    remove_tree(builder.home.layers / build.layers[0].digest)
    remove_tree(builder.home.objects)
    again = builder.build()
    assert (again.found, again.build.id) == (False, build.id)
    verify_layer(builder.home, build.layers[0])


def test_a_commit_with_the_same_tree_shares_the_layer(builder: Builder) -> None:
    one = builder.commit(PROCFILE).build
    two = builder.commit({}).build
    assert one.id != two.id
    assert one.layers == two.layers


def test_uncommitted_changes_are_told_once_and_left_out(builder: Builder) -> None:
    builder.repository.commit(PROCFILE)
    builder.repository.write({"Procfile": "web: changed", "new": ""})
    build = builder.build().build
    assert builder.told.notices == [
        f"Uncommitted changes are not part of the build; it is made from {build.source.short}."
    ]
    assert builder.read(build, "Procfile") == PROCFILE["Procfile"]


def test_commands_run_in_the_app_and_their_output_is_kept(builder: Builder) -> None:
    built = builder.commit(_commands("echo building; mkdir out && echo css > out/site.css", "ls out"))
    assert builder.read(built.build, "out/site.css") == "css\n"
    assert builder.told.lines == ["building", "site.css"]
    assert read_log(builder.home, APP, built.build.id).splitlines() == [
        f"==> exporting {built.build.source.short} Change",
        "==> compile: running echo building; mkdir out && echo css > out/site.css",
        "building",
        "==> compile: running ls out",
        "site.css",
    ]


def test_a_command_cannot_speak_to_the_terminal(builder: Builder) -> None:
    script = r"printf '\033[31mred\033[0m\tx\033]0;title\007\n\233bad\n'"
    build = builder.commit(_commands(script)).build
    assert builder.told.lines == ["red\tx", "\ufffdbad"]
    assert "\x1b[31mred\x1b[0m\tx\x1b]0;title\x07\n" in read_log(builder.home, APP, build.id)
    with pytest.raises(StepFailed) as caught:
        builder.commit(_commands(f"{script}; exit 1 # \x1b[2J"))
    assert caught.value.detail == ("red\tx", "\ufffdbad")
    assert caught.value.message == f"Running {script}; exit 1 # ended with exit status 1."


def test_a_repository_whose_path_is_not_utf_8_is_built(home: Home, tmp_path: Path) -> None:
    builder = Builder(home, Repository(tmp_path / os.fsdecode(b"shop\xff")))
    build = builder.commit({**PROCFILE, os.fsdecode(b"caf\xe9"): "x"}).build
    assert read_build(home, APP, build.id) == build
    assert builder.build().found


def test_the_environment_of_a_build_is_made_from_nothing(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary in our environment, one in the caller's, one in a config database: none is in the build's."""
    builder.repository.commit(_commands("env > seen", environment="[build.environment]\nDUMMY = 'x {y}'\n"))
    monkeypatch.setenv("CANARY_OURS", "1")
    builder.home.root.mkdir()
    with sqlite3.connect(builder.home.database) as database:
        database.execute("CREATE TABLE config (key TEXT, value TEXT)")
        database.execute("INSERT INTO config VALUES ('CANARY_CONFIG', 'secret')")
    database.close()
    builder.caller = {
        "CANARY_CALLER": "1",
        "DATABASE_URL": "postgres://",
        "PYTHONPATH": "/x",
        "LD_PRELOAD": "",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": "/etc/certs",
    }
    build = builder.build().build
    seen = dict(line.split("=", 1) for line in builder.read(build, "seen").splitlines())
    scratch = Path(seen.pop("HOME")).parent
    assert scratch.parent.parent == builder.home.scratch
    assert seen == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": builder.repository.git("log", "-1", "--format=%ct"),
        "TMPDIR": f"{scratch}/tmp",
        "PWD": f"{scratch}/bundle/app",
        "DUMMY": "x {y}",
        "SSL_CERT_FILE": "/etc/certs",
    }


def test_a_command_that_fails_is_told_with_its_last_lines(builder: Builder) -> None:
    with pytest.raises(StepFailed) as caught:
        builder.commit(_commands("for i in $(seq 30); do echo line $i; done; echo broken >&2; exit 7"))
    error = caught.value
    command = "for i in $(seq 30); do echo line $i; done; echo broken >&2; exit 7"
    assert error.message == f"Running {command} ended with exit status 7."
    assert error.hint == (
        "The command stands in trivet.toml, [build] commands. It sees no config: what must be set for the build goes into "
        "[build.environment]. `trivet builds log failed` shows all the output."
    )
    assert error.detail == (*(f"line {number}" for number in range(12, 31)), "broken")
    assert list_builds(builder.home, APP) == ()
    assert _left_in(builder.home) == set()
    log = read_log(builder.home, APP, "failed")
    assert "line 1\n" in log
    assert log.endswith(f"broken\nerror: {error.message}\n")


def test_a_command_that_is_killed_is_told_by_its_signal(builder: Builder) -> None:
    with pytest.raises(StepFailed, match=r"^Running kill -9 \$\$ ended with signal SIGKILL\.$"):
        builder.commit(_commands("kill -9 $$"))


def test_a_failed_build_leaves_the_earlier_ones_alone(builder: Builder) -> None:
    good = builder.commit(PROCFILE).build
    with pytest.raises(StepFailed):
        builder.commit(_commands("false"))
    assert list_builds(builder.home, APP) == (good,)
    assert builder.build("HEAD~1").found


def test_settings_that_cannot_be_read_are_an_error_before_anything_is_made(builder: Builder) -> None:
    with pytest.raises(InvalidFile, match=r"^trivet\.toml:1: unknown setting 'buidl'\.$"):
        builder.commit({**PROCFILE, "trivet.toml": "buidl = 1\n"})
    assert not builder.home.scratch.exists()


def test_an_empty_sub_folder_is_an_error(builder: Builder) -> None:
    builder.repository.commit(PROCFILE)
    with pytest.raises(SourceError, match="has no files in 'nowhere'"):
        builder.build(directory="nowhere")
    assert _left_in(builder.home) == set()


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_that_a_command_leaves_is_ended_before_the_layer_is_stored(builder: Builder, way: str) -> None:
    mark = secrets.token_hex(8)
    daemon = f"setsid sh -c 'while :; do date >> clock; sleep 0.01; done; : {mark}' >/dev/null 2>&1 &"
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    build = builder.commit(_commands(f"{daemon} while [ ! -s clock ]; do sleep 0.01; done")).build
    assert _with_mark(mark) == []
    verify_layer(builder.home, build.layers[0])


_BUILD = """
import sys
from pathlib import Path
from support.building import APP, Builder, Recorder
from support.repository import Repository
from support.watched import watched
from trivet.errors import TrivetError
from trivet.model.home import Home

class Existing(Repository):
    def __init__(self, path): self.path = path

try:
    print(Builder(Home(Path(sys.argv[1])), Existing(Path(sys.argv[2]))).build().build.id)
except TrivetError as error:
    print(f"{type(error).__name__}: {error.message} {error.hint}")
    sys.exit(error.exit_code)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(builder: Builder) -> Iterator[Start]:
    """Starts builds of the repository's HEAD in processes of their own; they are gone afterwards."""
    started: list[subprocess.Popen[str]] = []
    path = os.pathsep.join(entry for entry in (str(Path(__file__).parent.parent), *sys.path) if entry)

    def begin(seclusion: str = "") -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHONPATH": path, "TRIVET_SECLUSION": seclusion}
        argv = (sys.executable, "-c", _BUILD, str(builder.home.root), str(builder.repository.path))
        started.append(subprocess.Popen(argv, env=environment, text=True, stdout=subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def mark() -> str:
    """What the command lines of a build that hangs hold, and no other process's."""
    return secrets.token_hex(8)


def _hang(mark: str) -> dict[str, str | None]:
    """A command that starts a daemon out of its session and then hangs."""
    return _commands(f"setsid sh -c 'sleep 600; : {mark}' & exec sh -c 'sleep 600; : {mark}'")


def _with_mark(mark: str) -> list[int]:
    """The pids of the shells whose script has the mark in its own text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().endswith(f": {mark}\0".encode()):
                found.append(int(path.parent.name))
    return found


def _pids(mark: str) -> list[int]:
    """The daemon and the command, once both run."""
    eventually(lambda: len(_with_mark(mark)) == 2, what="the command's start")
    return _with_mark(mark)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_whole_tree_and_leaves_nothing(
    builder: Builder, start: Start, mark: str, number: signal.Signals
) -> None:
    builder.repository.commit(_hang(mark))
    process = start()
    pids = _pids(mark)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert out == (
        "Interrupted: The build was interrupted; nothing of it is left. "
        "What runs was not touched. Run the command again to build.\n"
    )
    assert process.returncode == 130
    assert all(_is_gone(pid) for pid in pids)
    assert _left_in(builder.home) == set()
    assert not builder.home.builds(APP).exists()


def test_what_a_killed_build_left_is_removed_by_the_next(builder: Builder, start: Start, mark: str) -> None:
    builder.repository.commit(_hang(mark))
    process = start()
    pids = _pids(mark)
    process.kill()
    process.communicate()
    assert len(_left_in(builder.home)) == 2
    builder.commit({**PROCFILE, "trivet.toml": None})
    assert _left_in(builder.home) == set()
    eventually(lambda: all(_is_gone(pid) for pid in pids), what="their end")


def test_what_a_killed_build_left_is_removed_also_when_a_build_is_found(
    builder: Builder, start: Start, mark: str
) -> None:
    builder.commit(PROCFILE)
    builder.repository.commit(_hang(mark))
    process = start("landlock")
    pids = _pids(mark)
    process.kill()
    process.communicate()
    eventually(lambda: any(_is_gone(pid) for pid in pids), what="the end of the step, which goes with its build")
    assert not all(_is_gone(pid) for pid in pids)
    assert builder.build("HEAD~1").found
    assert _left_in(builder.home) == set()
    eventually(lambda: all(_is_gone(pid) for pid in pids), what="the end of the daemon")


@pytest.mark.parametrize("way", [way for way in WAYS if way is not Seclusion.LANDLOCK])
def test_in_namespaces_nothing_outlives_a_killed_build(builder: Builder, start: Start, mark: str, way: str) -> None:
    builder.repository.commit(_hang(mark))
    process = start(way)
    pids = _pids(mark)
    process.kill()
    process.communicate()
    eventually(lambda: all(_is_gone(pid) for pid in pids), what="their end")


def test_with_nothing_to_sweep_no_process_is_looked_at(builder: Builder) -> None:
    builder.commit(PROCFILE)
    with watched("os.listdir") as looked:
        sweep(builder.home.scratch)
    assert looked == []
    (builder.home.scratch / "1.abc.lock").touch()
    with watched("os.listdir") as looked:
        sweep(builder.home.scratch)
    assert ("/proc",) in looked


def test_a_build_that_is_at_work_is_left_alone_by_another(builder: Builder, start: Start, mark: str) -> None:
    builder.repository.commit(_hang(mark))
    process = start()
    pids = _pids(mark)
    builder.commit({**PROCFILE, "trivet.toml": None})
    assert process.poll() is None
    assert not any(_is_gone(pid) for pid in pids)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_builds_may_race_for_the_same_commit(builder: Builder, start: Start) -> None:
    builder.repository.commit(_commands("for i in $(seq 50); do echo $i > f$i; done"))
    answers = [process.communicate(timeout=60)[0] for process in [start() for _ in range(4)]]
    assert len(set(answers)) == 1
    (build,) = list_builds(builder.home, APP)
    assert answers[0] == f"{build.id}\n"
    verify_layer(builder.home, build.layers[0])
    assert _left_in(builder.home) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_told_and_leaves_nothing(builder: Builder) -> None:
    builder.home.root.mkdir()
    mounted = subprocess.run(("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(builder.home.root)), check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount")
    try:
        with pytest.raises(MachineError) as caught:
            builder.commit(_commands("head -c 9000000 /dev/zero > big"))
        assert caught.value.message.startswith("The disk is full: ")  # by its own error, or ended before that
        with pytest.raises(MachineError) as caught:
            builder.commit({**PROCFILE, "trivet.toml": None, "big": "x" * 4_000_000})
        assert caught.value.message == "Cannot build: the disk is full."
        assert caught.value.hint == "Free some space (df -h shows where) and run the command again."
        assert _left_in(builder.home) == set()
    finally:
        subprocess.run(("umount", "-l", str(builder.home.root)), check=True)


def test_a_long_command_is_one_line_in_the_list_of_steps(builder: Builder) -> None:
    builder.commit(_commands("true \\\n  " + "x" * 100))
    assert builder.told.steps[1] == f"running true \\ {'x' * 72}…"

"""A value of the config is in what is sealed, in the environment that the run stage reads, and in the app. Nowhere else.

Values that sing are planted in every way that there is, also in those that fail, and looked for in every file, in the
command line of every process while it runs, and in every output of every command.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.apps import DIES, shop
from support.canary import VALUE, command_lines_with_it, found_below, holds_it
from support.command import Done, Trivet, fetch
from support.repository import Repository
from support.terminal import Terminal

pytestmark = pytest.mark.slow

PROCFILE = 'web: python3 server.py\nworker: python3 worker.py\nrelease: test -n "$PLAIN" && echo migrated\n'
SETTINGS = 'app = "shop"\n\n[processes.web]\ntimeout = 20\n\n[processes.worker]\nsettle = 0.2\n'
DOTENV = f"""
# {VALUE} is in a comment, too
PLAIN={VALUE}
QUOTED="it's \\"{VALUE}\\""
DATABASE_URL=postgres://ada:{VALUE}@127.0.0.1/shop
export PRIVATE_KEY='-----BEGIN-----
{VALUE}
-----END-----'
AWS_SECRET_ACCESS_KEY={VALUE}
UNICODE="☕ {VALUE} ☕"
"""


class Watch:
    """Looks at the command lines of all processes that are started on this machine, for as long as the block lasts.

    A process is looked at until its command line is no longer another one: it is its parent's until it runs its program.
    """

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._known: dict[str, bytes] = dict.fromkeys(_pids(), b"")
        self._settled = set(self._known)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            for pid in _pids() - self._settled:
                line = _command_line(pid)
                if holds_it(line):
                    self.seen.add(line)
                if self._known.get(pid, b"") == line != b"":
                    self._settled.add(pid)
                self._known[pid] = line


def _pids() -> set[str]:
    return {name for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208  # often, and nothing but names


def _command_line(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


class Commands:
    """Commands of one home, with what they said. Each says all that it can, and has temporary folders of its own."""

    def __init__(self, trivet: Trivet, temporary: Path) -> None:
        self.trivet = trivet
        self.said: list[tuple[str, str]] = []
        temporary.mkdir()
        trivet.environment.update(TRIVET_DEBUG="1", TMPDIR=str(temporary))

    def ok(self, *arguments: str, input: str | None = None) -> Done:
        """Ended well, having said nothing that it must not."""
        done = self.run(*arguments, input=input)
        assert done.status == 0, f"{arguments}: {done.out}{done.err}"
        return done

    def fails(self, *arguments: str, input: str | None = None) -> Done:
        """Ended with an error in words, or with a traceback."""
        done = self.run(*arguments, input=input)
        assert done.status not in (0, 1), f"{arguments}: {done.out}{done.err}"
        return done

    def run(self, *arguments: str, input: str | None = None) -> Done:
        """Ended, somehow."""
        done = self.trivet.run(*arguments, input=input)
        self.said.append((" ".join(arguments), done.out + done.err))
        return done

    def type(self, *arguments: str, typed: tuple[tuple[str, str], ...] = ()) -> int:
        """Typed on a terminal: once something is shown, something is typed."""
        terminal = Terminal(self.trivet, *arguments)
        for shown, text in typed:
            terminal.expect(shown)
            terminal.type(text)
        status = terminal.end()
        self.said.append((" ".join(arguments), terminal.shown))
        return status

    def who_said_it(self) -> list[tuple[str, str]]:
        """Commands whose output holds the value."""
        return [(command, said) for command, said in self.said if holds_it(said.encode())]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder for what a person gives to commands."""
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


@pytest.fixture
def commands(trivet: Trivet, repository: Repository, tmp_path: Path) -> Iterator[Commands]:
    """Nothing is deployed yet; no command line holds the value while any of this runs."""
    repository.commit(shop("v1", procfile=PROCFILE, settings=SETTINGS))
    with Watch() as watch:
        yield Commands(trivet, tmp_path / "temporary")
    assert watch.seen == set()


def _deploy_all(commands: Commands, given: Path) -> None:
    (given / "production.env").write_text(DOTENV)
    commands.ok("config", "set", "--file", str(given / "production.env"))
    commands.ok("deploy", "-v")
    commands.ok(
        "config",
        "set",
        "--secret",
        "--live",
        "TOKEN=-",
        input=f"{VALUE}\n",
    )
    assert commands.type("config", "set", "TYPED", typed=(("Value of TYPED", f"{VALUE}\n"),)) == 0


def _leaks(commands: Commands, tmp_path: Path) -> set[str]:
    """The files that hold the value, but for the environments, and what a person has given."""
    assert commands.who_said_it() == []
    assert command_lines_with_it() == []
    kept = found_below(tmp_path)
    environments = {name for name in kept if name.startswith("home/env/")}
    # The rest of a memory file system lies outside: then home/env is a link, and nothing below home holds it at all.
    assert all(name.rpartition("/")[2].startswith("v") and name.endswith(".json") for name in environments)
    return {name for name in kept - environments if not name.startswith("given/")}


def test_no_command_that_goes_well_says_or_leaves_a_value(
    commands: Commands, given: Path, repository: Repository, tmp_path: Path
) -> None:
    _deploy_all(commands, given)
    editor = given / "editor"
    editor.write_text(f"#!/bin/sh\necho 'EDITED={VALUE}' >> \"$1\"\n")
    editor.chmod(0o700)
    commands.trivet.environment["EDITOR"] = str(editor)
    assert commands.type("config", "edit") == 0
    commands.ok("promote", "production", "staging") if commands.run(
        "config", "set", "-d", "staging", "--file", str(given / "production.env")
    ).status == 0 else pytest.fail("the config of the deploy to promote to")
    repository.commit({"more.txt": "more\n"})
    for arguments in (
        ("plan",),
        ("plan", "--json"),
        ("deploy", "-v"),
        ("rollback", "v1", "--plan"),
        ("rollback", "v1", "--yes"),
        ("rollback", "--yes"),
        ("config",),
        ("config", "--json"),
        ("config", "check"),
        ("config", "diff", "c1", "c2"),
        ("config", "diff", "-d", "staging", "--with", "production"),
        ("config", "mark", "PLAIN", "--secret"),
        ("config", "unset", "UNICODE"),
        ("config", "set", "EMPTY="),
        ("releases",),
        ("releases", "--json"),
        ("releases", "show", "v2"),
        ("releases", "show", "v2", "--json"),
        ("releases", "diff", "v1", "v2"),
        ("releases", "output", "v1"),
        ("releases", "verify"),
        ("releases", "export"),
        ("log",),
        ("log", "--json"),
        ("apps",),
        ("ps", "--json"),
        ("logs", "-n", "1000"),
        ("scale", "worker=1"),
        ("restart",),
        ("run", "true"),
        ("stop",),
        ("start",),
        ("builds",),
        ("doctor",),
        ("prune",),
        ("backup", str(tmp_path / "backup")),
        ("down",),
        ("up",),
    ):
        commands.run(*arguments)
    assert fetch(f"{_address(commands)}/")[0] == 200
    assert _leaks(commands, tmp_path) == set()


def _address(commands: Commands) -> str:
    deploys = commands.ok("apps", "--json").json()
    return next(str(deploy["address"]) for deploy in deploys if deploy["deploy"] == "production")


def test_no_command_that_goes_wrong_says_or_leaves_a_value(
    commands: Commands, given: Path, repository: Repository, tmp_path: Path
) -> None:
    _deploy_all(commands, given)
    for name, content in (
        ("line", f"GOOD={VALUE}\nthis is no line but {VALUE}\n"),
        ("open", f"GOOD={VALUE}\nOPEN='{VALUE}\n"),
        ("name", f"{VALUE}={VALUE}\n"),
        ("owned", f"PORT={VALUE}\n"),
        ("nul", f"GOOD={VALUE}\0\n"),
    ):
        (given / name).write_text(content)
        commands.fails("config", "set", "--file", str(given / name))
    (given / "latin").write_bytes(f"GOOD={VALUE}\xff\n".encode("latin-1"))
    commands.run("config", "set", "--file", str(given / "latin"))
    commands.fails("config", "set", "--file", str(given))
    for key in ("1BAD", "PORT", "TRIVET_X", "a b"):
        commands.fails("config", "set", f"{key}=-", input=VALUE)
    commands.fails("config", "set", "TOKEN=-", "OTHER=-", input=VALUE)
    commands.fails("config", "set", "TOKEN=-", "TOKEN=-", input=VALUE)
    commands.fails("config", "set", "TOKEN=-", input=f"{VALUE}\0")
    commands.fails("config", "unset", "NOPE")
    commands.fails("config", "get", "TOKEN")
    commands.fails("config", "get", "NOPE")
    repository.commit(shop("v2", web=DIES, procfile=PROCFILE, settings=SETTINGS))
    commands.fails("deploy", "-v")
    commands.fails("config", "set", "PLAIN=", "-v")  # the release command asks for it
    repository.commit(shop("v2", procfile="web: python3 server.py\nrelease: false\n", settings=SETTINGS))
    commands.fails("deploy", "--json")
    assert _leaks(commands, tmp_path) == set()


def _break_environment(home: Path, content: str) -> None:
    (path,) = (home / "env" / "shop" / "production").glob("v*.json")
    path.write_text(content)


def _break_release(home: Path) -> None:
    for path in home.glob("apps/shop/deploys/production/releases/v*/env.age"):
        path.write_text(path.read_text()[:-60])


def _break_database(home: Path) -> None:
    with closing(sqlite3.connect(home / "trivet.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE config_versions SET body = substr(body, 1, 200)")
        connection.commit()


def _break_key(home: Path) -> None:
    (home / "keys" / "config.key").write_text(f"{VALUE}\n")


def _lose_key(home: Path) -> None:
    shutil.rmtree(home / "keys")


@pytest.mark.parametrize(
    "content",
    [
        '{"values": {"TOKEN": "VALUE"',
        '{"values": "VALUE"}',
        '{"values": {"TOKEN": ["VALUE"]}}',
        '{"values": {"TOKEN": "VALUE\\u0000"}}',
    ],
    ids=["cut", "no object", "no text", "NUL"],
)
def test_a_damaged_environment_makes_no_command_say_a_value(commands: Commands, tmp_path: Path, content: str) -> None:
    commands.ok("config", "set", "PLAIN=-", input=VALUE)
    commands.ok("deploy")
    _break_environment(commands.trivet.home, content.replace("VALUE", VALUE))
    for arguments in (("restart",), ("run", "true"), ("scale", "worker=1"), ("releases", "verify"), ("down",), ("up",)):
        commands.run(*arguments)
    assert _leaks(commands, tmp_path) == set()


@pytest.mark.parametrize("damage", [_break_release, _break_database, _break_key, _lose_key])
def test_what_cannot_be_opened_makes_no_command_say_a_value(
    commands: Commands, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    commands.ok("config", "set", "PLAIN=-", input=VALUE)
    commands.ok("deploy")
    commands.ok("config", "set", "A=1")
    damage(commands.trivet.home)
    for arguments in (
        ("config",),
        ("run", "--release", "v1", "true"),
        ("deploy",),
        ("rollback", "--yes"),
        ("releases", "verify"),
        ("releases", "diff", "v1", "v2"),
        ("doctor",),
        ("down",),
        ("up",),
    ):
        commands.run(*arguments)
    commands.run("config", "set", "TOKEN=-", input=VALUE)
    assert _leaks(commands, tmp_path) <= ({"home/keys/config.key"} if damage is _break_key else set())


def test_a_value_on_the_command_line_is_in_that_command_line_alone(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    """What a person types is in the shell's history and in `ps` by its nature; nothing else may pass it on."""
    repository.commit(shop("v1"))
    argv = (sys.executable, "-m", "trivet", "config", "set", f"TOKEN={VALUE}")
    environment = {**trivet.environment, "TRIVET_DEBUG": "1"}
    with Watch() as watch:
        done = subprocess.run(argv, cwd=trivet.folder, env=environment, capture_output=True, check=True)
        trivet.ok("deploy")
    assert watch.seen == {"\0".join(argv).encode() + b"\0"}  # and so it would have been seen in the other tests
    assert not holds_it(done.stdout + done.stderr)
    kept = found_below(tmp_path)
    assert kept == ({"home/env/shop/production/v1.json"} if not (trivet.home / "env").is_symlink() else set())

"""Command lines of a Procfile, and who gets their signals."""

import os
import signal
from pathlib import Path

import pytest

from trivet.host import processes, spawn
from trivet.run.command import shell_argv, words_of

SIMPLE = {
    "gunicorn app:app -b :$PORT": "exec gunicorn app:app -b :$PORT",
    'A=1 B="x y" gunicorn x': 'A=1 B="x y" exec gunicorn x',
    "A=$PORT b c": "A=$PORT exec b c",
    "exec node server.js": "exec node server.js",
    "echo 'a | b; c'": "exec echo 'a | b; c'",
    "node x.js 2>&1": "exec node x.js 2>&1",
    "node x.js >> out.log 2>&1": "exec node x.js >> out.log 2>&1",
    'sh -c "a; b"': 'exec sh -c "a; b"',
    "a ${X:-1} b": "exec a ${X:-1} b",
    r"a \; b": r"exec a \; b",
}
KEEPS_ITS_SHELL = [
    "python a.py && echo done",
    "cd app && node x",
    "a | b",
    "a; b",
    "a &",
    "(a)",
    "a $(b)",
    'a "$(b)"',
    "a `b`",
    "while true; do x; done",
    "export A=1",
    "exec a && b",
    "a\nb",
    "it's",
]


@pytest.mark.parametrize(("line", "script"), SIMPLE.items())
def test_a_simple_command_takes_its_shells_place(line: str, script: str) -> None:
    assert shell_argv(line) == (("/bin/sh", "-c", script), True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gunicorn app:app  -b 127.0.0.1:$PORT --x=${PORT}", "gunicorn app:app -b 127.0.0.1:8000 --x=8000"),
        ("exec ./bin/web -v", "./bin/web -v"),
        ("$RUN_WITH x", "python3 x"),
        ("a $EMPTY", ""),
        ("a $ABSENT", ""),
        ("a $SPACED", ""),
        ("a $STAR", ""),
        ("a ${PORT:-1}", ""),
        ("a $1", ""),
        ("a 'b'", ""),
        ("a *", ""),
        ("a ~", ""),
        ("a {b,c}", ""),
        ("A=1 b", ""),
        ("$ASSIGNED b", ""),
        ("a 2>&1", ""),
        ("a; b", ""),
        ("exec -a x y", ""),
    ],
)
def test_a_shell_that_would_only_take_words_apart_is_done_without(line: str, words: str) -> None:
    environment = {
        "PORT": "8000",
        "EMPTY": "",
        "SPACED": "x y",
        "STAR": "*",
        "RUN_WITH": "python3",
        "ASSIGNED": "A=1",
    }
    assert words_of(shell_argv(line)[0], environment) == tuple(words.split())


@pytest.mark.parametrize("line", ["env", "./script", "./script a=$B", "missing", "./folder", "./none"])
def test_without_a_shell_the_same_comes_of_it(line: str, tmp_path: Path) -> None:
    (tmp_path / "script").write_text('echo "$# $1 $B"; env')  # no `#!`: it is the shell that runs it
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "folder").mkdir()
    environment = {"PATH": f"{tmp_path}/absent::/usr/bin:/bin", "B": "x"}
    argv = shell_argv(line)[0]
    words = words_of(argv, environment)
    assert words
    assert _outcome(argv, environment, tmp_path, words) == _outcome(argv, environment, tmp_path, ())


def _outcome(
    argv: tuple[str, ...], environment: dict[str, str], folder: Path, words: tuple[str, ...]
) -> tuple[list[str], str]:
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    child = spawn.spawn(spawn.Command(argv, environment, folder, (null, writing, writing), words=words))
    os.close(writing)
    os.close(null)
    with os.fdopen(reading) as output:
        lines = sorted(line for line in output.read().splitlines() if not line.startswith(("_=", "SHLVL=", "OLDPWD")))
    ended = os.waitpid(child.pid, 0)[1]
    os.close(child.pidfd)
    os.close(child.report)
    return lines, str(os.waitstatus_to_exitcode(ended))


@pytest.mark.parametrize("line", KEEPS_ITS_SHELL)
def test_a_compound_command_keeps_its_shell(line: str) -> None:
    assert shell_argv(line) == (("/bin/sh", "-c", line), False)


@pytest.mark.parametrize("line", ["A=1 B='x y' sh -c 'echo \"$A $B $$\"'", "exec sh -c 'echo \"1 x y $$\"'"])
def test_the_program_of_a_simple_command_has_the_number_that_we_signal(line: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    child = spawn.spawn(spawn.Command(shell_argv(line)[0], {}, tmp_path, (null, writing, writing)))
    os.close(writing)
    with os.fdopen(reading) as output:
        assert output.read().strip() == f"1 x y {child.pid}"
    processes.exit_of(child.pidfd)
    for descriptor in (null, child.pidfd, child.report):
        os.close(descriptor)


def test_what_keeps_the_program_from_running_is_told_with_its_step(tmp_path: Path) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for command, told in (
        (spawn.Command(("/nowhere/program",), {}, tmp_path, (null, null, null)), "run /nowhere/program: No such file"),
        (spawn.Command(("/bin/true",), {}, tmp_path / "gone", (null, null, null)), "enter "),
    ):
        child = spawn.spawn(command)
        os.set_blocking(child.report, True)
        assert (spawn.read_failure(child.report) or "").startswith(told)
        os.close(child.report)
        os.waitpid(child.pid, 0)
        os.close(child.pidfd)
    os.close(null)


def test_a_child_has_default_signals_and_no_descriptor_but_three(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    leaked = os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(leaked, True)
    previous = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    script = "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Ign|Blk)' /proc/self/status"
    try:
        child = spawn.spawn(spawn.Command(("/bin/sh", "-c", script), {}, tmp_path, (leaked, writing, writing)))
    finally:
        signal.signal(signal.SIGPIPE, previous)
    os.close(writing)
    with os.fdopen(reading) as output:
        words = output.read().split()
    assert words[:4] == ["0", "1", "2", "3"]  # 3: the folder that ls reads
    assert words[4::2] == ["SigBlk:", "SigIgn:"]
    # Signal 32 belongs to the C library, which lets nobody change it: as it was when this test started, so it stays.
    assert [int(mask, 16) & 0x7FFFFFFF for mask in words[5::2]] == [0, 0]
    os.waitpid(child.pid, 0)
    for descriptor in (leaked, child.pidfd, child.report):
        os.close(descriptor)

"""Commands: lines come as they are written, and nothing that a command started outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.command import eventually
from trivet.errors import Interrupted, MachineError
from trivet.host.command import (
    Command,
    capture,
    describe_status,
    interruptible,
    piped,
    stream,
)
from trivet.host.descendants import end_processes_marked

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def _shell(script: str, timeout_s: float = 30.0, **environment: str) -> Command:
    return Command(("/bin/sh", "-c", script), Path("/"), {**ENVIRONMENT, **environment}, timeout_s)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_output_and_errors_come_line_by_line_in_one_stream() -> None:
    lines: list[str] = []
    assert stream(_shell("echo one; echo two >&2; printf three"), lines.append) == 0
    assert lines == ["one", "two", "three"]


def test_a_line_comes_as_soon_as_it_is_written(tmp_path: Path) -> None:
    def answer(line: str) -> None:
        (tmp_path / "seen").write_text(line)

    script = f"echo first; while [ ! -e {tmp_path}/seen ]; do sleep 0.01; done; cat {tmp_path}/seen"
    assert stream(_shell(script), answer) == 0


def test_a_line_drawn_over_itself_counts_as_its_last_state() -> None:
    lines: list[str] = []
    stream(_shell(r"printf '10%%\r50%%\r100%%\n'; printf 'dos\r\n'; printf '\377\n'"), lines.append)
    assert lines == ["100%", "dos", "\ufffd"]


def test_a_very_long_line_is_cut_and_not_kept() -> None:
    lines: list[str] = []
    stream(_shell("head -c 1000000 /dev/zero | tr '\\0' x"), lines.append)
    assert sum(map(len, lines)) == 1_000_000
    assert max(map(len, lines)) < 200_000


def test_the_exit_status_or_the_signal_is_told() -> None:
    assert stream(_shell("exit 3"), print) == 3
    assert stream(_shell("kill -SEGV $$"), print) == -signal.SIGSEGV
    assert describe_status(3) == "exit status 3"
    assert describe_status(-9) == "signal SIGKILL"


def test_a_command_has_no_input_and_nothing_of_our_environment() -> None:
    os.environ["CANARY"] = "leaked"
    try:
        lines: list[str] = []
        assert stream(_shell("cat; env"), lines.append) == 0
        assert not any("CANARY" in line for line in lines)
    finally:
        del os.environ["CANARY"]


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(MachineError) as caught:
        stream(Command(("no-such-program",), Path("/"), ENVIRONMENT), print)
    assert caught.value.message == "There is no program 'no-such-program' on this machine."
    assert caught.value.hint == "Install it (for example `apt-get install no-such-program`) and run the command again."


def test_a_daemon_left_behind_is_ended_even_if_it_holds_the_output(tmp_path: Path) -> None:
    daemon = f"setsid sh -c 'sh -c \"echo \\$\\$ > {tmp_path}/pid; exec sleep 600\" & wait' &"
    script = f"{daemon} while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done; echo done"
    lines: list[str] = []
    assert stream(_shell(script), lines.append) == 0
    assert lines == ["done"]
    assert not _is_alive(int((tmp_path / "pid").read_text()))


def test_an_exception_ends_the_whole_tree(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise KeyError(line)

    daemon = f"(setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' &);"
    script = f"{daemon} while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done; echo go; sleep 600"
    with pytest.raises(KeyError):
        stream(_shell(script), fail)
    assert not _is_alive(int((tmp_path / "pid").read_text()))


def test_processes_that_were_there_before_live_on() -> None:
    with subprocess.Popen(("sleep", "600"), start_new_session=True) as bystander:
        stream(_shell("true"), print)
        assert bystander.poll() is None
        bystander.kill()


def test_a_command_that_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(MachineError, match=r"^/bin/sh took longer than 0\.2 s and was ended\.$"):
        stream(_shell("sleep 600", timeout_s=0.2), print)
    with pytest.raises(MachineError, match=r"^/bin/sh took longer than 0\.2 s and was ended\.$"):
        stream(_shell("exec >&- 2>&-; sleep 600", timeout_s=0.2), print)
    with pytest.raises(MachineError, match=r"^/bin/sh took longer than 0\.2 s and was ended\.$"):
        capture(_shell("sleep 600", timeout_s=0.2))
    assert time.monotonic() - began < 300  # half of what one of them would take


def test_an_answer_holds_status_output_and_errors() -> None:
    answer = capture(_shell("echo out; echo err >&2; exit 4"))
    assert (answer.status, answer.text, answer.err) == (4, "out", "err\n")


def test_a_piped_command_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(ChildProcessError, match=r"^broken$"), piped(_shell("echo out; echo broken >&2; exit 1")) as out:
        assert out.read() == b"out\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once_and_cleaning_up_is_left_alone(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned: list[bool] = []

    def work() -> None:
        with interruptible("Gone.", "Again."):
            try:
                os.kill(os.getpid(), number)
                time.sleep(10)
            finally:
                os.kill(os.getpid(), number)
                cleaned.append(True)

    with pytest.raises(Interrupted, match=r"^Gone\.$"):
        work()
    assert cleaned
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible("Gone.", "Again."):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_killed_command_left_is_found_by_its_environment() -> None:
    mark = f"HOME=/nonexistent/{os.getpid()}"
    argv = (sys.executable, "-c", "import time; time.sleep(600)")
    with subprocess.Popen(argv, env={"HOME": mark.partition("=")[2]}, start_new_session=True) as process:
        eventually(lambda: mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes())
        end_processes_marked(mark)
        assert process.wait(60) == -signal.SIGKILL


_STREAM = """
import sys
from pathlib import Path
from trivet.host.command import Command, stream
stream(Command(("/bin/sh", "-c", "echo $$; exec sleep 600"), Path("/"), {}), lambda line: print(line, flush=True))
"""


def test_a_command_ends_when_we_are_killed() -> None:
    path = os.pathsep.join(filter(None, sys.path))
    argv = (sys.executable, "-c", _STREAM)
    with subprocess.Popen(argv, env={"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert _is_alive(pid)
        process.kill()
        eventually(lambda: not _is_alive(pid), what="its end")

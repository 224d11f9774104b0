"""Killed, interrupted, raced: whatever happens to a command, a whole release serves and the next command works without help."""

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.apps import SERVER, shop
from support.command import DEADLINE_S, Trivet, eventually, fetch
from support.repository import Repository

WAITS = "import os, time\nwhile not os.path.exists({path!r}) and os.environ['TRIVET_DEPLOY'] == 'production': time.sleep(0.01)\n"
PROCFILE = "web: python3 server.py\nworker: python3 worker.py\n"


def _waiting_for(go: Path) -> str:
    """A server that in production serves nothing until this file is there."""
    return WAITS.format(path=str(go)) + SERVER


def _states(trivet: Trivet) -> dict[int, str]:
    return {release["release"]: release["state"] for release in trivet.ok("releases", "--json", "--all").json()}


def test_a_second_deploy_waits_and_is_told_for_whom(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(shop("v2", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as first:
        eventually(lambda: len(_states(trivet)) == 2, what="the first deploy's release")
        refused = trivet.run("config", "set", "A=1", "--no-wait")
        with trivet.start("config", "set", "A=1") as second:
            assert second.stderr is not None
            told = second.stderr.readline()
            (tmp_path / "go").touch()
            second.communicate()
        first.communicate()
    assert refused.status == 75
    assert f"(trivet deploy HEAD, pid {first.pid}, since 20" in refused.err
    assert refused.err.endswith("is at work on this deploy.\nhint:  Wait for it to end, then try again.\n")
    assert "waiting for shop/production: " in told
    assert second.returncode == 0
    assert _states(trivet) == {3: "succeeded", 2: "succeeded", 1: "succeeded"}


def test_two_deploys_never_wait_for_each_other(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    repository.commit(shop("v1", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as first:
        eventually(lambda: (trivet.home / "locks" / "shop.production").exists(), what="the lock")
        done = trivet.ok("deploy", "-d", "staging", "--no-wait")
        assert first.poll() is None
        (tmp_path / "go").touch()
        first.communicate()
    assert "waiting" not in done.err
    assert first.returncode == 0


def test_ctrl_c_while_the_new_release_starts_undoes_it(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    before = trivet.pids()
    repository.commit(shop("v2", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as command:
        eventually(lambda: len(trivet.processes(release=2)) == 1, what="the start of v2")
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=DEADLINE_S)
    assert out == ""
    assert err.endswith(
        "error: Interrupted. v2 is recorded as failed; v1 still serves, untouched.\n"
        "hint:  Run the command again when you are ready.\n"
    )
    assert command.returncode == 130
    assert trivet.pids() == before
    assert _states(trivet) == {2: "failed", 1: "succeeded"}


def test_ctrl_c_in_a_build_ends_its_whole_process_tree(trivet: Trivet, repository: Repository) -> None:
    repository.commit(
        {
            **shop("v1"),
            "trivet.toml": 'app = "shop"\n[build]\ncommands = ["(setsid sleep 987 &) ; trap \'\' TERM; sleep 986; true"]\n',
        }
    )
    with trivet.start("deploy", "-v") as command:
        eventually(lambda: _running("sleep 986"), what="the build command")
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 130
    assert out == ""
    assert "error: The build was interrupted; nothing of it is left.\n" in err
    assert not _running("sleep 986")
    assert not _running("sleep 987")
    assert [path.name for path in (trivet.home / "scratch").iterdir() if path.is_dir()] == []


def test_a_killed_deploy_is_finished_by_the_supervisor_and_told_by_the_next_command(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(shop("v2", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as command:
        eventually(lambda: len(trivet.processes(release=2)) == 1, what="the start of v2")
        command.kill()
    assert _states(trivet) == {2: "pending", 1: "succeeded"}
    (tmp_path / "go").touch()
    done = trivet.ok("config", "set", "GREETING=hello")
    assert "an interrupted command left v2 without an outcome; it succeeded" in done.err
    assert fetch(trivet.url) == (200, "v2 hello v3\n")
    assert _states(trivet) == {3: "succeeded", 2: "succeeded", 1: "succeeded"}


def test_a_killed_release_command_ends_with_its_command(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(shop("v2", procfile=f"{PROCFILE}release: sleep 988\n"))
    with trivet.start("deploy") as command:
        eventually(lambda: _running("sleep 988"), what="the release command")
        command.kill()
    eventually(lambda: not _running("sleep 988"), what="the end of the release command")
    assert [path for path in (trivet.home / "tmp").iterdir() if path.name.startswith("run-")] != []
    repository.commit(shop("v3"))
    done = trivet.ok("deploy")
    assert (
        "an interrupted command left v2 without an outcome; it failed: interrupted before its roll-out began"
        in done.err
    )
    assert fetch(trivet.url) == (200, "v3 - v3\n")
    assert [path for path in (trivet.home / "tmp").iterdir() if path.name.startswith("run-")] == []


def test_ctrl_c_while_waiting_for_somebody_else_changes_nothing(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(shop("v1", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as first:
        eventually(lambda: (trivet.home / "locks" / "shop.production").exists(), what="the lock")
        with trivet.start("config", "set", "A=1") as second:
            assert second.stderr is not None
            told = second.stderr.readline()
            second.send_signal(signal.SIGINT)
            out, err = second.communicate(timeout=DEADLINE_S)
        (tmp_path / "go").touch()
        first.communicate()
    assert "waiting for shop/production: " in told
    assert f"(trivet deploy HEAD, pid {first.pid}, since 20" in told
    assert (second.returncode, out) == (130, "")
    assert err.strip() == ("error: Interrupted; nothing was changed.\nhint:  Run the command again when you are ready.")
    assert _states(trivet) == {1: "succeeded"}


def test_ctrl_c_while_processes_are_scaled_or_stopped_says_what_is_meant_to_run(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    slow = "import os, time\nif os.path.exists({path!r}): time.sleep(600)\n".format(path=str(tmp_path / "slow"))
    repository.commit(shop("v1", web=slow + SERVER))
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    (tmp_path / "slow").touch()
    with trivet.start("scale", "web=2") as command:
        eventually(lambda: len(trivet.processes()) == 3, what="the start of web.2")
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=DEADLINE_S)
    assert (command.returncode, out) == (130, "")
    assert err.splitlines()[-2:] == [
        "error: Interrupted; shop/production is meant to run web=1 worker=1.",
        "hint:  `trivet ps` shows what runs now.",
    ]
    eventually(lambda: list(trivet.pids()) == ["web.1", "worker.1"], what="the end of web.2")
    assert fetch(trivet.url)[0] == 200


def test_ctrl_c_while_trivet_is_still_being_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    trivet = Trivet(tmp_path / "home", tmp_path, {"PYTHONPATH": str(tmp_path)})
    done = trivet.run("apps")
    assert (done.status, done.out, done.err) == (
        130,
        "",
        "error: Interrupted; nothing was changed.\nhint:  Run the command again when you are ready.\n",
    )


def test_a_terminal_that_closes_does_not_end_what_nohup_started(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(shop("v1", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as command:
        eventually(lambda: len(trivet.processes(release=1)) == 1, what="the start of v1")
        command.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        out, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 0, err
    assert out.startswith("shop/production v1 is live")


def test_a_second_ctrl_c_does_not_keep_the_first_from_saying_what_is_true(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(shop("v2", web=_waiting_for(tmp_path / "go")))
    with trivet.start("deploy") as command:
        eventually(lambda: len(trivet.processes(release=2)) == 1, what="the start of v2")
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            command.send_signal(number)
        _, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 130
    assert err.splitlines()[-2:] == [
        "error: Interrupted. v2 is recorded as failed; v1 still serves, untouched.",
        "hint:  Run the command again when you are ready.",
    ]
    assert _states(trivet) == {2: "failed", 1: "succeeded"}


def test_a_failing_release_command_touches_nothing(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    before = trivet.pids()
    repository.commit(shop("v2", procfile=f"{PROCFILE}release: echo no such table; exit 3\n"))
    done = trivet.run("deploy")
    assert done.status == 40
    assert done.err.endswith(
        "error: The release command of v2 ended with exit status 3: echo no such table; exit 3\n"
        "  | no such table\n"
        "hint:  v1 still serves, untouched; what the command itself has done stays done. Mend it and deploy again; "
        "`trivet releases output v2` has all that it wrote.\n"
    )
    assert trivet.pids() == before
    assert _states(trivet) == {2: "failed", 1: "succeeded"}


@pytest.mark.slow
def test_whatever_is_killed_at_any_moment_a_whole_release_serves(trivet: Trivet, repository: Repository) -> None:
    chance = random.Random(5)
    repository.commit(shop("v0"))
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    url = trivet.url
    for number in range(1, 21):
        repository.commit(shop(f"v{number}"))
        command = chance.choice((("deploy",), ("config", "set", f"A={number}"), ("restart",), ("scale", "web=2")))
        victims = chance.choice((("client",), ("supervisor",), ("door",), ("client", "supervisor", "door")))
        _start_and_kill(trivet, command, victims, after_s=chance.uniform(0.05, 0.8))
        trivet.ok("up")
        eventually(lambda: _answers(url), what=f"an answer after {command} without {victims}")
        told = trivet.ok(*chance.choice((("restart",), ("config", "set", f"B={number}"), ("scale", "web=1"))))
        assert "Traceback" not in told.err
    repository.commit(shop("last"))
    trivet.ok("scale", "web=1")
    trivet.ok("deploy")
    assert fetch(url)[1].startswith("last ")
    states = _states(trivet)
    assert sorted(states) == list(range(1, len(states) + 1))
    assert "pending" not in states.values()
    trivet.ok("releases", "verify")
    eventually(lambda: len(_present(trivet)) == 2, what="the end of all old processes")
    assert _present(trivet) == set(trivet.pids().values())
    eventually(lambda: len(tuple((trivet.home / "tmp").iterdir())) == 2, what="the end of all old temporary folders")


def _start_and_kill(trivet: Trivet, command: tuple[str, ...], victims: tuple[str, ...], *, after_s: float) -> None:
    with trivet.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        time.sleep(after_s)  # the moment is the point of the test, not a wait
        if "client" in victims:
            client.kill()
        with contextlib.suppress(LookupError, ProcessLookupError):
            if "supervisor" in victims:
                os.kill(trivet.supervisor_pid, signal.SIGKILL)
        with contextlib.suppress(LookupError, ProcessLookupError):
            if "door" in victims:
                os.kill(trivet.door_pid, signal.SIGKILL)
        client.wait(DEADLINE_S)


def _answers(url: str) -> bool:
    try:
        return fetch(url)[0] == 200
    except OSError:
        return False


def _present(trivet: Trivet) -> set[int]:
    """The processes that run in a folder of this home, whatever anybody thinks."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cwd").readlink().is_relative_to(trivet.home):
                found.add(int(folder.name))
    return found


def _running(command_line: str) -> bool:
    wanted = command_line.replace(" ", "\0").encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == wanted:
                return True
    return False

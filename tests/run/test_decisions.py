"""The decisions of the supervisor, as tables: nothing runs here."""

from dataclasses import replace

import pytest

from trivet.model.run_plan import ProcessPlan
from trivet.run.supervisor import restart
from trivet.run.supervisor.gate import judge, read_status
from trivet.run.supervisor.intent import Intent, Phase, Recovery, finishes, recover
from trivet.run.supervisor.ports import Ports
from trivet.run.supervisor.restart import Restarts


def test_the_first_restart_is_at_once_and_the_others_wait_longer_and_longer() -> None:
    restarts, waits = Restarts(), []
    for _ in range(12):
        restarts, wait_s = restart.after_exit(restarts, up_s=0.1)
        waits.append(wait_s)
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert restarts == Restarts(count=12, streak=12)


def test_ten_seconds_up_begin_a_new_streak_but_every_restart_counts() -> None:
    assert restart.after_exit(Restarts(count=7, streak=7), up_s=10.0) == (Restarts(count=8, streak=1), 0.0)
    assert restart.after_exit(Restarts(count=7, streak=7), up_s=9.9) == (Restarts(count=8, streak=8), 6.4)


def test_a_restart_never_gives_up_however_long_the_streak() -> None:
    assert restart.after_exit(Restarts(count=10**6, streak=10**6), up_s=0.0)[1] == 30.0


def test_the_log_is_told_how_a_process_ended_and_when_it_is_started_again() -> None:
    assert restart.crash_line("web.1", "exited with 1", Restarts(4, 4), 0.8) == (
        "trivet: web.1 exited with 1; restart 4 in 0.8 s\n"
    )
    assert restart.crash_line("web.1", "was ended by SIGKILL", Restarts(1, 1), 0.0) == (
        "trivet: web.1 was ended by SIGKILL; restart 1 at once\n"
    )


@pytest.mark.parametrize(
    ("path", "status", "verdict"),
    [
        (None, 200, None),
        (None, 404, None),
        (None, 499, None),
        (None, 500, "GET / answered 500"),
        ("/up", 204, None),
        ("/up", 302, None),
        ("/up", 404, "GET /up answered 404"),
        ("/up", 503, "GET /up answered 503"),
        ("/up", 100, "GET /up answered 100"),
    ],
)
def test_an_answer_is_judged_by_its_status(path: str | None, status: int, verdict: str | None) -> None:
    assert judge(path, status) == verdict


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 404 Not Found\r\n", 404),
        (b"HTTP/1.1 500", 500),
        (b"SSH-2.0-OpenSSH", None),
        (b"", None),
        (b"HTTP/1.1 xyz\r\n", None),
        (b"HTTP/2 200", None),
    ],
)
def test_a_status_is_read_from_http_1_only(answer: bytes, status: int | None) -> None:
    assert read_status(answer) == status


def _intent(phase: Phase, starts: tuple[str, ...], drops: tuple[str, ...]) -> Intent:
    return Intent(2, 1, phase, True, starts, drops, "2026-11-23T00:00:00.000Z")


OLD, NEW = ("v1.web.1", "v1.worker.1"), ("v2.web.1", "v2.worker.1")


@pytest.mark.parametrize(
    ("intent", "found", "wanted", "recovery", "finish"),
    [
        pytest.param(None, OLD, OLD, Recovery(OLD, ()), False, id="nothing in flight"),
        pytest.param(None, (), OLD, Recovery((), ()), False, id="nothing found"),
        pytest.param(None, (*OLD, "v1.web.2"), OLD, Recovery(OLD, ("v1.web.2",)), False, id="more than wanted"),
        pytest.param(None, OLD, (), Recovery((), OLD), False, id="stopped"),
        pytest.param(_intent(Phase.STARTING, NEW, OLD), OLD + NEW, OLD, Recovery(OLD, NEW), False, id="starting"),
        pytest.param(_intent(Phase.STARTING, NEW, OLD), OLD, OLD, Recovery(OLD, ()), False, id="starting, new died"),
        pytest.param(_intent(Phase.SHIFTING, NEW, OLD), OLD + NEW, OLD, Recovery(OLD, NEW), False, id="shifting"),
        pytest.param(
            _intent(Phase.SHIFTING, NEW, OLD), NEW, NEW, Recovery(NEW, ()), True, id="shifting, the old is gone"
        ),
        pytest.param(_intent(Phase.SHIFTING, NEW, OLD), (), OLD, Recovery((), ()), False, id="shifting, a reboot"),
        pytest.param(
            _intent(Phase.SHIFTING, NEW, ()), (), NEW, Recovery((), ()), True, id="the first, shifting, a reboot"
        ),
        pytest.param(_intent(Phase.SHIFTED, NEW, OLD), OLD + NEW, NEW, Recovery(NEW, OLD), True, id="shifted"),
        *(
            pytest.param(_intent(phase, NEW, OLD), OLD + NEW, OLD, Recovery(OLD, NEW), False, id=phase.value)
            for phase in (Phase.CLEARING, Phase.REPLACING, Phase.REVERTING)
        ),
        pytest.param(_intent(Phase.WATCHING, NEW, OLD), OLD + NEW, NEW, Recovery(NEW, OLD), True, id="watching"),
        pytest.param(
            _intent(Phase.WATCHING, NEW, OLD),
            (*OLD, NEW[0]),
            OLD,
            Recovery(OLD, NEW[:1]),
            False,
            id="watching, one of the new died",
        ),
        pytest.param(
            _intent(Phase.WATCHING, NEW, OLD), NEW[:1], NEW, Recovery(NEW[:1], ()), True, id="watching, the old is gone"
        ),
        pytest.param(_intent(Phase.WATCHING, NEW, OLD), (), OLD, Recovery((), ()), False, id="watching, a reboot"),
        pytest.param(
            replace(_intent(Phase.SHIFTING, ("v1.web.1+1",), ("v1.web.1",)), release=1),
            ("v1.web.1", "v1.web.1+1", "v1.worker.1"),
            OLD,
            Recovery(("v1.web.1+1", "v1.worker.1"), ("v1.web.1",)),
            True,
            id="restart of one, shifting",
        ),
        pytest.param(
            _intent(Phase.STARTING, ("v1.web.1+1",), ("v1.web.1",)),
            ("v1.web.1", "v1.web.1+1", "v1.worker.1"),
            OLD,
            Recovery(("v1.web.1", "v1.worker.1"), ("v1.web.1+1",)),
            False,
            id="restart of one, starting",
        ),
        pytest.param(
            _intent(Phase.SHIFTED, ("v1.web.1+1",), ("v1.web.1",)),
            ("v1.web.1", "v1.web.1+1", "v1.worker.1"),
            OLD,
            Recovery(("v1.web.1+1", "v1.worker.1"), ("v1.web.1",)),
            True,
            id="restart of one, shifted",
        ),
        pytest.param(
            None, ("v1.web.1+3", "v1.worker.1"), OLD, Recovery(("v1.web.1+3", "v1.worker.1"), ()), False, id="a turn"
        ),
    ],
)
def test_what_is_found_is_kept_or_dropped(
    intent: Intent | None, found: tuple[str, ...], wanted: tuple[str, ...], recovery: Recovery, finish: bool
) -> None:
    assert finishes(intent, found) == finish
    assert recover(intent, found, wanted, finish=finish) == recovery


def test_a_port_is_given_to_one_process_only_until_it_is_given_back() -> None:
    ports = Ports(is_free=lambda port: port % 2 == 0)
    given = {ports.take() for _ in range(5000)}
    assert len(given) == 5000
    assert all(20000 <= port <= 29999 and port % 2 == 0 for port in given)
    with pytest.raises(Exception, match="All ports from 20000 to 29999 are in use"):
        ports.take()
    ports.give_back(20002)
    assert ports.take() == 20002


def test_a_port_of_a_process_that_was_found_is_not_given_away() -> None:
    ports = Ports(is_free=lambda port: port in (20000, 20001))
    ports.keep(20000)
    assert ports.take() == 20001


def test_a_plan_does_not_show_its_environment() -> None:
    from pathlib import Path

    plan = ProcessPlan("web.1", ("/bin/true",), Path("/"), {"SECRET": "hunter2"})
    assert "hunter2" not in repr(plan)

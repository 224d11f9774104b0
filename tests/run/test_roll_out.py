"""Roll-outs: nothing of the old release stops until everything of the new one is ready."""

import re
import threading
import urllib.request
from collections.abc import Callable, Mapping

import pytest

from run.shop import DEADLINE_S, PATIENCE_S, PYTHON, WEB, WORKER, Shop, wait_until
from support.wire import exchange
from trivet.errors import Busy, RunError, UnknownRelease
from trivet.host import processes
from trivet.model.process import ProcessType
from trivet.model.run import Address
from trivet.run.supervisor import link
from trivet.run.supervisor.intent import read as read_intent

NEVER_ANSWERS = "import time; time.sleep(600)"
LISTENS = "import os, socket, time\ns = socket.create_server(('127.0.0.1', int({port})))\n{then}"
BRIEF_S = 3.0  # what is tried in it takes 50 ms of a processor; on a loaded machine that may be a second
SOON = r"after \d+\.\d s"
ON_ITS_PORT = r"on port 2\d{4} \(\$PORT\)"


def test_a_first_release_serves_on_its_address(shop: Shop) -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    shop.shop(1)
    roll_out = shop.machine.roll_out(shop.deploy, 1, address=None, report=lambda *event: told.append(event))
    assert roll_out.succeeded
    assert [event for event, _ in told] == ["started", "ready", "shifted", "drained", "stopped"]
    assert roll_out.address == shop.machine.address(shop.deploy)
    assert shop.fetch().startswith("v1 ")
    assert shop.machine.current(shop.deploy) == 1
    assert set(roll_out.timings_s or {}) == {"ready", "shifted", "drained", "stopped"}
    assert not (shop.home.run(shop.deploy) / "intent.json").exists()


def test_the_next_release_takes_over_and_the_old_processes_end(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    address = shop.ok(1).address
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "working" in shop.log("v1.worker.1"))
    assert shop.ok(2).address == address
    assert shop.fetch().startswith("v2 ")
    wait_until(lambda: set(shop.pids()) == {"v2.web.1", "v2.worker.1"})
    assert shop.log("v1.web.1").endswith("bye\n")
    assert shop.log("v1.worker.1").endswith("bye\n")


def test_requests_are_answered_throughout_many_roll_outs(shop: Shop) -> None:
    for number in range(1, 5):
        shop.shop(number)
    address = shop.ok(1).address
    assert address is not None
    answers: list[str] = []
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            with urllib.request.urlopen(address.url, timeout=10) as answer:
                answers.append(answer.read().decode().split()[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 5):
        shop.ok(number)
        seen = len(answers)
        wait_until(lambda seen=seen: len(answers) > seen + 30)  # type: ignore[misc]
    stopping.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {"v1", "v2", "v3", "v4"}
    assert len(answers) > 90


@pytest.mark.parametrize(
    ("code", "reason", "output"),
    [
        ("import sys; print('no database'); sys.exit(3)", rf"web\.1 exited with 3 {SOON}", ("no database",)),
        ("import os; os.kill(os.getpid(), 9)", rf"web\.1 was ended by SIGKILL {SOON}", ()),
        (NEVER_ANSWERS, rf"web\.1 did not answer {ON_ITS_PORT} within 3 s; it listens on no port", ()),
    ],
    ids=["dies", "is killed", "never answers"],
)
def test_a_release_that_does_not_come_up_leaves_the_old_one_untouched(
    shop: Shop, code: str, reason: str, output: tuple[str, ...]
) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.processes()
    shop.web(2, code, timeout_s=BRIEF_S)
    roll_out = shop.roll_out(2)
    assert not roll_out.succeeded
    assert re.fullmatch(reason, roll_out.reason)
    assert (roll_out.process, roll_out.output, roll_out.address) == ("web.1", output, None)
    assert [(each.pid, each.since, each.restarts) for each in shop.processes()] == [
        (each.pid, each.since, each.restarts) for each in before
    ]
    assert shop.fetch().startswith("v1 ")
    assert shop.machine.current(shop.deploy) == 1
    assert shop.machine.ended(shop.deploy, 2) == roll_out


def test_a_release_that_listens_on_another_port_is_told_which(shop: Shop) -> None:
    shop.web(1, LISTENS.format(port="28123", then="time.sleep(99)"), timeout_s=BRIEF_S)
    expected = rf"web\.1 did not answer {ON_ITS_PORT} within 3 s; it listens on 28123 instead"
    assert re.fullmatch(expected, shop.roll_out(1).reason)


def test_a_release_that_takes_connections_but_does_not_answer_is_told_so(shop: Shop) -> None:
    shop.web(1, LISTENS.format(port="os.environ['PORT']", then="time.sleep(99)"), timeout_s=BRIEF_S)
    expected = r"web\.1 accepted connections on port 2\d{4} but did not answer within 3 s"
    assert re.fullmatch(expected, shop.roll_out(1).reason)


@pytest.mark.parametrize(
    ("health", "status", "reason"),
    [
        (None, "500", "web.1 did not become ready within 3 s: GET / answered 500"),
        ("/up", "404", "web.1 did not become ready within 3 s: GET /up answered 404"),
    ],
)
def test_a_release_that_answers_badly_is_told_what_it_answered(
    shop: Shop, health: str | None, status: str, reason: str
) -> None:
    answer = (
        f"while True:\n    c = s.accept()[0]\n    c.recv(4096)\n    c.sendall(b'HTTP/1.1 {status} Why\\r\\n\\r\\n')"
    )
    shop.web(1, LISTENS.format(port="os.environ['PORT']", then=answer), health=health, timeout_s=BRIEF_S)
    assert shop.roll_out(1).reason == reason


@pytest.mark.parametrize(("health", "status"), [(None, "404"), ("/up", "302")])
def test_a_release_that_answers_well_enough_is_ready(shop: Shop, health: str | None, status: str) -> None:
    shop.web(1, f"import os; os.environ['STATUS'] = '{status}'\n{WEB}", health=health)
    shop.ok(1)


def test_a_release_that_is_slow_to_answer_is_waited_for(shop: Shop) -> None:
    shop.web(1, f"import time; time.sleep(0.4)\n{WEB}")
    assert (shop.ok(1).timings_s or {})["ready"] > 0.4


def test_a_worker_that_ends_while_it_should_settle_fails_the_release(shop: Shop) -> None:
    shop.worker(1, WORKER)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    shop.worker(2, "print('cannot reach the queue'); raise SystemExit(0)", settle_s=PATIENCE_S)
    roll_out = shop.roll_out(2)
    assert re.fullmatch(rf"worker\.1 exited with 0 {SOON}", roll_out.reason)
    assert roll_out.output == ("cannot reach the queue",)
    assert shop.pids() == before


def test_one_broken_process_type_undoes_the_ready_ones_too(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    types = (
        ProcessType("web", f"{PYTHON} web.py", timeout_s=PATIENCE_S),
        ProcessType("worker", f"{PYTHON} worker.py", settle_s=PATIENCE_S),
    )
    shop.release(2, {"web.py": WEB, "worker.py": "import time; time.sleep(0.5); raise SystemExit(4)"}, types)
    assert re.fullmatch(rf"worker\.1 exited with 4 {SOON}", shop.roll_out(2).reason)
    assert shop.pids() == before
    assert shop.fetch().startswith("v1 ")


def test_a_failed_first_release_leaves_nothing_running_and_no_address(shop: Shop) -> None:
    shop.web(1, "raise SystemExit(1)")
    assert not shop.roll_out(1).succeeded
    assert shop.processes() == ()
    assert shop.machine.address(shop.deploy) is None
    assert shop.machine.current(shop.deploy) is None
    assert list(shop.home.temporary.iterdir()) == []


def test_a_program_that_cannot_be_run_is_told_by_its_shell(shop: Shop) -> None:
    shop.release(1, {}, {"web": "no-such-program --flag"})
    roll_out = shop.roll_out(1)
    assert re.fullmatch(rf"web\.1 exited with 127 {SOON}", roll_out.reason)
    assert "no-such-program: not found" in roll_out.output[-1]


def test_a_release_without_web_processes_has_no_address(shop: Shop) -> None:
    shop.worker(1, WORKER)
    assert shop.ok(1).address is None
    assert shop.machine.address(shop.deploy) is None


def test_a_release_whose_interpreter_is_gone_is_not_begun(shop: Shop) -> None:
    shop.release(1, {}, {"web": "x"}, interpreter="/usr/bin/python9.9")
    with pytest.raises(RunError) as raised:
        shop.roll_out(1)
    assert raised.value.message == ("The build 000000000001 of v1 relies on /usr/bin/python9.9, which is gone.")
    assert raised.value.hint == "Install it again, or build anew with what is there: trivet deploy --rebuild"


def test_a_release_that_does_not_exist_is_not_begun(shop: Shop) -> None:
    with pytest.raises(UnknownRelease) as raised:
        shop.roll_out(7)
    path = shop.home.release(shop.deploy, 7) / "release.json"
    assert raised.value.message == f"shop/production has no release v7 on this machine: {path} is missing."
    assert raised.value.hint == "`trivet releases` lists what there is."
    assert shop.machine.ended(shop.deploy, 7) is None


def test_an_aborted_roll_out_is_undone_and_remembered(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.pids()
    shop.web(2, NEVER_ANSWERS)
    shop.begin(2)
    shop.machine.abort(shop.deploy)
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert (ended.succeeded, ended.reason) == (False, "interrupted")
    assert shop.pids() == before


def test_a_client_that_goes_away_does_not_end_its_roll_out(shop: Shop) -> None:
    shop.web(1, f"import time; time.sleep(0.5)\n{WEB}")
    shop.begin(1)
    ended = shop.machine.ended(shop.deploy, 1)
    assert ended is not None
    assert ended.succeeded
    assert shop.fetch().startswith("v1 ")


def test_an_abort_after_the_shift_changes_nothing(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.abort(shop.deploy)
    assert shop.fetch().startswith("v1 ")


def test_the_supervisor_refuses_a_second_change_meanwhile(shop: Shop) -> None:
    shop.web(1, NEVER_ANSWERS)
    shop.begin(1)
    with pytest.raises(Busy, match=r"^shop/production is being changed already\.$"):
        link.ask(shop.home, {"do": "restart", "deploy": str(shop.deploy), "process": None}, within_s=DEADLINE_S)
    shop.machine.abort(shop.deploy)


def test_what_a_killed_client_began_is_waited_for(shop: Shop) -> None:
    slow = "import time\ntime.sleep(0.3)\n" + WEB
    changes: tuple[Callable[[], object], ...] = (
        lambda: shop.machine.scale(shop.deploy, {"web": 2}),
        lambda: shop.machine.restart(shop.deploy, None),
        lambda: shop.machine.stop(shop.deploy),
    )
    for number, change in enumerate(changes, 1):
        shop.web(number, slow)
        shop.begin(number)
        change()
        assert shop.machine.current(shop.deploy) == number
    shop.machine.start(shop.deploy)
    wait_until(lambda: shop.get()[0] == 200)
    shop.web(4, slow), shop.shop(5)
    shop.begin(4)
    shop.ok(5)
    wait_until(lambda: set(shop.pids()) == {"v5.web.1", "v5.web.2"})


def test_an_old_process_that_ignores_sigterm_is_killed_with_its_group_after_its_grace(shop: Shop) -> None:
    code = (
        "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
        "pid = os.fork()\nos.write(1, b'pid %d\\n' % os.getpid())\ntime.sleep(600)"
    )
    shop.worker(1, code, grace_s=0.5)
    shop.worker(2, WORKER)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: shop.log("v1.worker.1").count("\n") == 2)
    pids = [int(line.split()[1]) for line in shop.log("v1.worker.1").splitlines()]
    shop.ok(2)
    wait_until(lambda: set(shop.pids()) == {"v2.worker.1"})
    wait_until(lambda: all(processes.start_time(pid) is None for pid in pids))


def test_a_request_in_flight_is_answered_by_the_old_release_before_it_ends(shop: Shop) -> None:
    slow = WEB.replace(
        'if self.path == "/environment"',
        'if self.path == "/slow":\n            print("begun", flush=True)\n            __import__("time").sleep(0.7)\n'
        '        if self.path == "/environment"',
    )
    shop.web(1, slow)
    shop.web(2, WEB)
    shop.ok(1)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(shop.fetch("/slow")))
    thread.start()
    wait_until(lambda: "begun" in shop.log("v1.web.1"))
    shop.ok(2)
    thread.join()
    assert answers[0].startswith("v1 ")
    assert shop.fetch().startswith("v2 ")


def test_the_intent_names_what_starts_and_what_it_replaces(shop: Shop) -> None:
    shop.web(1, WEB)
    shop.ok(1)
    shop.web(2, NEVER_ANSWERS)
    shop.begin(2)
    intent = read_intent(shop.home.run(shop.deploy) / "intent.json")
    assert intent is not None
    assert (intent.release, intent.before, intent.phase.value) == (2, 1, "starting")
    assert (intent.starts, intent.drops) == (("v2.web.1",), ("v1.web.1",))
    shop.machine.abort(shop.deploy)


def test_logs_of_the_last_ten_releases_are_kept(shop: Shop) -> None:
    for number in range(1, 13):
        shop.release(number, {}, {"worker": "sleep 600"})
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    for number in range(2, 13):
        shop.ok(number)
    folder = shop.home.run(shop.deploy) / "logs"
    wait_until(lambda: {path.name for path in folder.glob("*.log")} == {f"v{n}.worker.1.log" for n in range(3, 13)})


def test_the_proxy_protocol_is_expected_from_the_switch_on_and_after_a_restart_of_everything(shop: Shop) -> None:
    shop.shop(1), shop.shop(2), shop.shop(3)
    plain = shop.ok(1).address
    assert plain is not None
    wish = Address("", 0, proxy_protocol=True)
    address = shop.machine.roll_out(shop.deploy, 2, address=wish, report=lambda *_: None).address
    assert (address, address and address.proxy_protocol) == (plain, True)
    told = b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n"
    get = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    where = (plain.host, plain.port)
    assert b"v2 " in exchange(where, told + get)
    assert exchange(where, get).startswith(b"HTTP/1.1 400 ")
    shop.machine.down()
    shop.machine.up()
    wait_until(lambda: b"v2 " in exchange(where, told + get))
    assert exchange(where, get).startswith(b"HTTP/1.1 400 ")
    shop.ok(3)  # whoever does not say, a rollback for example, leaves it as it is
    assert b"v3 " in exchange(where, told + get)
    shop.machine.roll_out(shop.deploy, 1, address=Address("", 0), report=lambda *_: None)
    assert b"v1 " in exchange(where, get)

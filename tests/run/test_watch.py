"""After the shift the new release is watched; until that is over the old one is kept, and is gone back to."""

import http.client
import os
import re
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from run.shop import PATIENCE_S, PYTHON, WEB, Shop, free_port, wait_until
from trivet.errors import InputError
from trivet.model.event import EventKind
from trivet.model.formation import Formation
from trivet.model.process import HealthCheck, ProcessType
from trivet.model.run import Address, RollOut
from trivet.model.run_plan import ProcessPlan
from trivet.run import desired
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor.intent import Phase
from trivet.run.supervisor.verbs import find_watch_s

LONG_S = 30.0
FRAGILE = (
    """
import os, threading, time
def _watch():
    while not os.path.exists(os.environ["TRIVET_STORAGE"] + "/die"):
        time.sleep(0.01)
    print("the sky falls", flush=True)
    os._exit(7)
threading.Thread(target=_watch, daemon=True).start()
"""
    + WEB
).replace(
    'status = int(os.environ.get("STATUS", "200"))',
    'is_ill = self.path == "/up" and os.path.exists(os.environ["TRIVET_STORAGE"] + "/ill")\n'
    '        status = 500 if is_ill else int(os.environ.get("STATUS", "200"))',
)


def _web(number: int, shop: Shop, code: str, **treatment: object) -> None:
    values = {"timeout_s": PATIENCE_S, "grace_s": PATIENCE_S, **treatment}
    shop.release(number, {"w.py": code}, (ProcessType("web", f"{PYTHON} w.py", **values),))  # type: ignore[arg-type]


@dataclass
class Rolled:
    """A roll-out that is asked for in a thread of its own."""

    thread: threading.Thread
    told: list[str] = field(default_factory=list)
    ended: list[RollOut] = field(default_factory=list)

    def end(self) -> RollOut:
        """How it ended."""
        self.thread.join(PATIENCE_S)
        return self.ended[0]


def _roll_out(shop: Shop, number: int) -> Rolled:
    rolled = Rolled(threading.Thread())

    def ask() -> None:
        report = lambda event, _: rolled.told.append(event)  # noqa: E731
        rolled.ended.append(shop.machine.roll_out(shop.deploy, number, address=None, report=report))

    rolled.thread = threading.Thread(target=ask)
    rolled.thread.start()
    return rolled


@contextmanager
def _asked(shop: Shop) -> Iterator[Counter[str]]:
    """The deploy is asked without a pause; the answers by release, and whatever is none as it is."""

    def ask(address: Address, answers: Counter[str], stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                with urllib.request.urlopen(address.url, timeout=60) as answer:
                    answers[answer.read().decode().split()[0]] += 1
            except OSError as error:
                answers[repr(error)] += 1

    with _clients(shop, 3, ask) as answers:
        yield answers


@contextmanager
def _clients(
    shop: Shop, count: int, ask: Callable[[Address, Counter[str], threading.Event], None]
) -> Iterator[Counter[str]]:
    """So many ask at the deploy's address until the block ends."""
    answers: Counter[str] = Counter()
    stopping = threading.Event()
    address = shop.machine.address(shop.deploy)
    assert address is not None
    threads = [threading.Thread(target=ask, args=(address, answers, stopping)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _is_untouched(shop: Shop, before: dict[str, int | None]) -> bool:
    return shop.pids() == before and shop.machine.current(shop.deploy) == 1 and shop.fetch().startswith("v1 ")


def test_a_release_that_dies_while_it_is_watched_is_gone_back_from_and_no_request_is_lost(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, FRAGILE, warm_s=LONG_S)
    shop.ok(1)
    before = shop.pids()
    with _asked(shop) as answers:
        wait_until(lambda: answers["v1"] > 20)
        rolled = _roll_out(shop, 2)
        wait_until(lambda: answers["v2"] > 20)
        assert rolled.told[-2:] == ["shifted", "watching"]
        assert set(shop.pids()) == {"v1.web.1", "v2.web.1"}
        (shop.home.storage(shop.deploy) / "die").touch()
        roll_out, seen = rolled.end(), answers["v1"]
        wait_until(lambda: answers["v1"] > seen + 20)
    assert set(answers) == {"v1", "v2"}
    assert re.fullmatch(r"web\.1 exited with 7 after \d+\.\d s", roll_out.reason)
    assert (roll_out.process, roll_out.output[-1], roll_out.address) == ("web.1", "the sky falls", None)
    assert "shifted" in (roll_out.timings_s or {})
    assert _is_untouched(shop, before)
    assert shop.machine.ended(shop.deploy, 2) == roll_out
    assert not (shop.home.run(shop.deploy) / "intent.json").exists()
    told = [(event.kind, event.release) for event in shop.machine.events(shop.deploy)][-4:]
    assert told == [
        (EventKind.SWITCHED, 2),
        (EventKind.CRASHED, 2),
        (EventKind.SWITCHED, 1),
        (EventKind.ROLL_OUT_FAILED, 2),
    ]


def test_a_release_that_fails_its_health_check_three_times_while_it_is_watched_is_gone_back_from(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, FRAGILE, warm_s=LONG_S, health="/up", check=HealthCheck(200, interval_s=0.02, timeout_s=5.0))
    shop.ok(1)
    before = shop.pids()
    with _asked(shop) as answers:
        rolled = _roll_out(shop, 2)
        wait_until(lambda: answers["v2"] > 20)
        (shop.home.storage(shop.deploy) / "ill").touch()
        roll_out = rolled.end()
    assert set(answers) <= {"v1", "v2"}
    reason = r"web\.1 failed its health check \d+ times in a row: GET /up answered 500, not 200"
    assert re.fullmatch(reason, roll_out.reason)
    assert _is_untouched(shop, before)


def test_a_release_whose_health_is_in_doubt_is_watched_until_it_is_not(shop: Shop) -> None:
    doubtful = "asked = []\n" + FRAGILE.replace(
        "is_ill = self.path",
        'asked.append(self.path)\n        is_ill = asked.count("/up") in (3, 4) or self.path',
    )
    _web(1, shop, WEB)
    _web(2, shop, doubtful, warm_s=0.05, health="/up", check=HealthCheck(interval_s=0.04))
    shop.ok(1)
    timings = shop.ok(2).timings_s or {}
    assert list(timings) == ["ready", "shifted", "watched", "drained", "stopped"]
    assert shop.log("v2.web.1").count("/up") >= 5


BUSY = """
import os, socket, threading
def serve(connection):
    with connection:
        asked = connection.makefile("rb")
        while line := asked.readline():
            while asked.readline() not in (b"\\r\\n", b""):
                pass
            print(line.split()[1].decode(), flush=True)
            if b"/up" in line and os.path.exists(os.environ["TRIVET_STORAGE"] + "/stuck"):
                threading.Event().wait()
            body = os.environ["TRIVET_RELEASE"].encode()
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    free.release()
free = threading.Semaphore(2)
listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    free.acquire()
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""
IMPATIENT = {"health": "/up", "check": HealthCheck(interval_s=0.02, timeout_s=0.2), "grace_s": 0.5}
# One answer to users within a second is enough, on a machine that has much else to do as well.
UNHURRIED = {**IMPATIENT, "check": HealthCheck(interval_s=0.02, timeout_s=1.0)}


@contextmanager
def _kept(shop: Shop, count: int) -> Iterator[Counter[str]]:
    """Clients that ask again and again on the connections that they have; the answers by release."""

    def ask(address: Address, answers: Counter[str], stopping: threading.Event) -> None:
        with closing(http.client.HTTPConnection(address.host, address.port, timeout=30)) as connection:
            while not stopping.wait(0.001):
                connection.request("GET", "/")
                answers[connection.getresponse().read().decode().split()[0]] += 1

    with _clients(shop, count, ask) as answers:
        yield answers


def test_a_release_that_answers_its_users_and_so_has_no_time_for_its_check_is_not_gone_back_from(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, BUSY, warm_s=4.0, **UNHURRIED)
    shop.ok(1)
    with _kept(shop, 2) as answers:
        wait_until(lambda: answers["v1"] > 20)
        rolled = _roll_out(shop, 2)
        wait_until(lambda: answers["v2"] > 200)
        asked = shop.log("v2.web.1").count("/up")
        roll_out = rolled.end()
        told = shop.log("v2.web.1").count("/up")
    assert roll_out.succeeded, roll_out.reason
    assert told == asked  # no check was answered any more
    assert set(answers) == {"v1", "v2"}


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_release_that_hangs_over_its_check_is_gone_back_from_whether_it_answers_others_or_not(
    shop: Shop, *, is_asked: bool
) -> None:
    _web(1, shop, WEB)
    _web(2, shop, BUSY, warm_s=LONG_S, **IMPATIENT)
    shop.ok(1)
    before = shop.pids()
    with _kept(shop, int(is_asked)) as answers:
        rolled = _roll_out(shop, 2)
        wait_until(lambda: "watching" in rolled.told and (not is_asked or answers["v2"] > 20))
        (shop.home.storage(shop.deploy) / "stuck").touch()
        roll_out = rolled.end()
    reason = r"web\.1 failed its health check \d+ times in a row: GET /up was not answered within 0\.2 s"
    assert re.fullmatch(reason, roll_out.reason)
    assert _is_untouched(shop, before)


def test_a_release_that_stands_still_is_gone_back_from(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, BUSY, warm_s=LONG_S, **IMPATIENT)
    shop.ok(1)
    before = shop.pids()
    rolled = _roll_out(shop, 2)
    wait_until(lambda: "watching" in rolled.told)
    os.kill(shop.pids()["v2.web.1"] or 0, signal.SIGSTOP)
    reason = r"web\.1 failed its health check \d+ times in a row: GET /up was not answered within 0\.2 s"
    assert re.fullmatch(reason, rolled.end().reason)
    assert _is_untouched(shop, before)


def test_an_old_process_that_crashes_while_it_is_warm_is_started_again_and_gone_back_to(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, FRAGILE, warm_s=LONG_S)
    shop.ok(1)
    rolled = _roll_out(shop, 2)
    wait_until(lambda: "watching" in rolled.told)
    shop.end(shop.pids()["v1.web.1"])
    wait_until(lambda: shop.log("v1.web.1").count("serving") == 2)
    (shop.home.storage(shop.deploy) / "die").touch()
    assert not rolled.end().succeeded
    assert shop.fetch().startswith("v1 ")


def test_an_interrupted_watch_goes_back(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, WEB, warm_s=LONG_S)
    shop.ok(1)
    before = shop.pids()
    rolled = _roll_out(shop, 2)
    wait_until(lambda: "watching" in rolled.told)
    shop.machine.abort(shop.deploy)
    roll_out = rolled.end()
    assert (roll_out.succeeded, roll_out.reason) == (False, "interrupted")
    assert _is_untouched(shop, before)


def test_the_address_moves_back_with_the_release(shop: Shop) -> None:
    _web(1, shop, WEB)
    _web(2, shop, FRAGILE, warm_s=LONG_S)
    old = shop.ok(1).address
    ended: list[RollOut] = []
    thread = threading.Thread(target=lambda: ended.append(shop.roll_out(2, free_port())))
    thread.start()
    wait_until(lambda: shop.machine.address(shop.deploy) != old and shop.get()[1].startswith("v2 "))
    assert old is not None
    with urllib.request.urlopen(old.url, timeout=60) as answer:  # whoever knows the old address is answered meanwhile
        assert answer.read().startswith(b"v2 ")
    (shop.home.storage(shop.deploy) / "die").touch()
    thread.join(PATIENCE_S)
    assert not ended[0].succeeded
    assert shop.machine.address(shop.deploy) == old
    assert shop.fetch().startswith("v1 ")


def test_the_first_release_a_restart_and_another_formation_are_not_watched(shop: Shop) -> None:
    _web(1, shop, WEB, warm_s=LONG_S)
    assert "watched" not in (shop.ok(1).timings_s or {})
    shop.machine.restart(shop.deploy, None)
    shop.machine.scale(shop.deploy, {"web": 2})
    shop.machine.scale(shop.deploy, {"web": 1})


def _watched(shop: Shop, code: str = WEB) -> dict[str, int | None]:
    """v2 serves and is watched, v1 is warm; the supervisor was killed."""
    _web(1, shop, WEB)
    _web(2, shop, code, warm_s=LONG_S)
    shop.ok(1)
    shop.begin(2)
    path = shop.home.run(shop.deploy) / "intent.json"

    def is_watched() -> bool:
        intent = intents.read(path)
        return intent is not None and intent.phase is Phase.WATCHING

    wait_until(is_watched)
    pids = shop.pids()
    shop.kill_supervisor()
    return pids


def test_killed_while_it_watched_the_next_supervisor_finishes_if_the_new_release_serves(shop: Shop) -> None:
    before = _watched(shop)
    shop.machine.up()
    wait_until(lambda: shop.pids() == {"v2.web.1": before["v2.web.1"]})
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert ended.succeeded
    assert shop.machine.current(shop.deploy) == 2
    assert shop.fetch().startswith("v2 ")


def test_killed_while_it_watched_the_next_supervisor_goes_back_if_the_new_release_is_gone(shop: Shop) -> None:
    before = _watched(shop)
    shop.end(before["v2.web.1"])
    shop.machine.up()
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert ended.reason == "interrupted: when the supervisor came back, its processes no longer ran"
    assert _is_untouched(shop, {"v1.web.1": before["v1.web.1"]})


def test_after_a_power_cut_in_the_watch_the_release_before_is_kept_and_runs_again(shop: Shop) -> None:
    before = _watched(shop)
    shop.end(*before.values())
    for path in (shop.home.run(shop.deploy) / "status").iterdir():
        path.unlink()  # status files are not synced
    assert shop.machine.current(shop.deploy) == 2
    assert len(shop.machine.builds_in_use()) == 2
    assert shop.machine.fallbacks() == {shop.deploy: 1}
    shop.machine.up()
    assert set(shop.pids()) == {"v1.web.1"}
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert (ended.succeeded, shop.machine.current(shop.deploy)) == (False, 1)
    assert shop.fetch().startswith("v1 ")
    assert shop.machine.fallbacks() == {}


def test_killed_while_it_went_back_the_next_supervisor_goes_back_for_the_same_reason(shop: Shop) -> None:
    before = _watched(shop)
    path = shop.home.run(shop.deploy) / "intent.json"
    intent = intents.read(path)
    assert intent is not None
    intents.write(path, replace(intent, phase=Phase.REVERTING, reason="web.1 exited with 7"))
    shop.machine.up()
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert (ended.succeeded, ended.reason) == (False, "web.1 exited with 7")
    wait_until(lambda: shop.pids() == {"v1.web.1": before["v1.web.1"]})
    assert _is_untouched(shop, {"v1.web.1": before["v1.web.1"]})


@pytest.mark.parametrize(
    ("treatments", "watch_s"),
    [
        ((("web", True, None), ("worker", False, None)), 3.0),
        ((("web", True, 0.0), ("worker", False, None)), 0.0),
        ((("web", True, 7.0), ("worker", False, 9.0)), 9.0),
        ((("worker", False, None),), 0.0),
        ((("worker", False, 2.0),), 2.0),
        ((), 0.0),
    ],
)
def test_a_release_is_watched_as_long_as_its_process_types_say(
    treatments: tuple[tuple[str, bool, float | None], ...], watch_s: float
) -> None:
    plans = [
        ProcessPlan(f"{name}.1", ("/bin/true",), Path("/"), {}, has_port=has_port, warm_s=warm_s)
        for name, has_port, warm_s in treatments
    ]
    assert find_watch_s(plans, 3.0) == watch_s


def test_a_machine_that_says_nonsense_is_told_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _web(1, shop, WEB)
    monkeypatch.setenv("TRIVET_WARM", "soon")
    with pytest.raises(InputError) as raised:
        shop.roll_out(1)
    assert raised.value.message == "TRIVET_WARM is 'soon', which is not a number of seconds from 0 to 86400."
    assert raised.value.hint == "How long the release before is kept warm after a switch: TRIVET_WARM=3"


def test_a_bad_release_is_never_shown_while_it_is_checked(shop: Shop) -> None:
    """Each would answer on its address, and does on its port: of nobody's requests it gets one."""
    shop.web(1, WEB)
    shop.ok(1)
    types = (
        ProcessType("web", f"{PYTHON} w.py", timeout_s=PATIENCE_S),
        ProcessType("worker", "sleep 0.2; exit 3", settle_s=PATIENCE_S),
    )
    shop.web(2, FRAGILE, health="/up", timeout_s=5.0)
    (shop.home.storage(shop.deploy) / "ill").touch()
    shop.release(3, {"w.py": WEB}, types)
    shop.web(4, f"import os\nos.environ['STATUS'] = '503'\n{WEB}", timeout_s=5.0)
    with _asked(shop) as answers:
        wait_until(lambda: answers["v1"] > 20)
        for number in (2, 4):
            assert not shop.roll_out(number).succeeded
            assert shop.log(f"v{number}.web.1").count("/") > 1  # it was asked on its port
        desired.write_formation(shop.home, shop.deploy, Formation({"worker": 1}))
        assert not shop.roll_out(3).succeeded
        seen = answers["v1"]
        wait_until(lambda: answers["v1"] > seen + 20)
    assert set(answers) == {"v1"}

"""Trivet is upgraded while it runs: the supervisor and the front door of the new version take over, and nothing else changes."""

import contextlib
import http.client
import itertools
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from run.shop import DEADLINE_S, PYTHON, WEB, Shop, kill, wait_until
from support.command import Trivet
from support.installation import install, set_version
from trivet.errors import SupervisorUnreachable
from trivet.host import processes
from trivet.model.event import EventKind
from trivet.model.process import ProcessType
from trivet.run.door import link as door_link


class Load:
    """Clients that ask all the time, half of them on new connections, half on kept ones; every failure is kept."""

    def __init__(self, port: int, *, gets_only: bool = False) -> None:
        self._port = port
        self._gets_only = gets_only
        self._stopping = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._ask, args=(kept,)) for kept in (True, True, False, False)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def wait_for(self, count: int) -> None:
        """So many answers more have come."""
        until = self.answers.total() + count
        wait_until(lambda: (self.failures and not self._gets_only) or self.answers.total() >= until)

    def _ask(self, kept: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        for turn in itertools.count():
            if self._stopping.is_set():
                break
            try:
                body = f"{turn}" if turn % 2 and not self._gets_only else None
                connection.request("POST" if body else "GET", "/", body, {} if kept else {"Connection": "close"})
                answer = connection.getresponse()
                text = answer.read().decode()
                self.answers[text] += 1
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {text}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def _installed(shop: Shop, folder: Path, version: str, changes: Mapping[str, str] | None = None) -> Trivet:
    """The command of an installation of its own, for the same home; the supervisor that runs is the tests' own."""
    place = install(folder / f"trivet-{version}", version, changes)
    return Trivet(shop.home.root, folder, {"PYTHONPATH": str(place)})


def _version(shop: Shop) -> str:
    return (shop.machine.version() or "").partition("+")[0]


def _door_status(shop: Shop) -> dict[str, object]:
    """What the front door says of itself; {} if it is just handing over."""
    with contextlib.suppress(SupervisorUnreachable), contextlib.closing(door_link.connect(shop.home)) as door:
        return dict(door.ask({"do": "status"}).data)
    return {}


def _door_version(shop: Shop) -> str:
    return str(_door_status(shop).get("version")).partition("+")[0]


def test_two_versions_take_over_under_load_and_nothing_is_lost_or_restarted(shop: Shop, tmp_path: Path) -> None:
    versions = [_installed(shop, tmp_path, version) for version in ("0.2.0", "0.3.0")]
    code = WEB.replace(
        "def log_message",
        "do_POST = lambda self: (self.rfile.read(int(self.headers['Content-Length'])), self.do_GET())\n    def log_message",
    )
    types = tuple(ProcessType(name, f"{PYTHON} w.py", timeout_s=DEADLINE_S, grace_s=DEADLINE_S) for name in ("web",))
    shop.release(1, {"w.py": code}, types)
    shop.release(2, {"w.py": code}, types)
    address = shop.ok(1).address
    assert address is not None
    shop.machine.scale(shop.deploy, {"web": 2})
    before = shop.pids()
    supervisors, doors = [shop.supervisor_pid()], [_door_status(shop)["pid"]]
    with Load(address.port) as load:
        load.wait_for(200)
        for trivet, version, old in zip(versions, ("0.2.0", "0.3.0"), ("0.1.0", "0.2.0"), strict=True):
            assert trivet.ok("up").out == (
                "up: shop/production (2)\n"
                f"the supervisor, of Trivet {version}, took over from {old}; nothing was restarted\n"
            )
            assert _version(shop) == version
            wait_until(lambda seen=version: _door_version(shop) == seen)  # type: ignore[misc]
            supervisors.append(shop.supervisor_pid())
            doors.append(_door_status(shop)["pid"])
            assert shop.pids() == before
            load.wait_for(200)
        assert trivet.ok("up").out == "up: shop/production (2)\n"
        kill(shop.supervisor_pid())
        load.wait_for(100)
        assert trivet.ok("up").out == "up: shop/production (2)\n"
        assert shop.pids() == before
        shop.ok(2)
        load.wait_for(200)
    assert load.failures == []
    assert {text.split()[0] for text in load.answers} == {"v1", "v2"}
    assert len(set(supervisors)) == len(set(doors)) == 3
    wait_until(lambda: all(processes.start_time(int(str(pid))) is None for pid in (*supervisors[:-1], *doors[:-1])))
    assert "Traceback" not in _log(shop)


def test_a_door_that_is_killed_loses_what_it_works_on_and_refuses_nobody(shop: Shop) -> None:
    shop.web(1, WEB)
    address = shop.ok(1).address
    assert address is not None
    with Load(address.port, gets_only=True) as load:
        for _ in range(3):
            load.wait_for(50)
            kill(int(str(_door_status(shop)["pid"])))
        load.wait_for(50)
    assert not any("Refused" in failure for failure in load.failures)
    assert len(load.failures) <= 3 * 4  # one request a client, each time


def test_a_new_supervisor_that_cannot_even_begin_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    before, supervisor = shop.pids(), shop.supervisor_pid()
    trivet = _installed(shop, tmp_path, "0.2.0", {"run/supervisor/daemon.py": "\nraise SystemExit('broken')\n"})
    done = trivet.run("up")
    assert (done.status, done.out) == (40, "")
    assert done.err == (
        "error: The supervisor did not start: it exited with 1. The one that ran, of Trivet 0.1.0, goes on.\n"
        "  | broken\n"
        f"hint:  {shop.home.supervisor / 'supervisor.log'} says more.\n"
    )
    assert (shop.pids(), shop.supervisor_pid()) == (before, supervisor)


def test_a_new_supervisor_that_ends_in_the_middle_is_replaced_by_the_old_one(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.shop(2)
    shop.ok(1)
    before, supervisor = shop.pids(), shop.supervisor_pid()
    dies = "\nimport os\ndef recover(*_):\n    os._exit(3)\n"
    done = _installed(shop, tmp_path, "0.2.0", {"run/supervisor/recovery.py": dies}).run("up")
    assert done.status == 40
    assert "it exited with 3. The one that ran, of Trivet 0.1.0, goes on." in done.err
    assert (shop.pids(), shop.supervisor_pid()) == (before, supervisor)
    kill(before["v1.web.1"] or 0)
    wait_until(lambda: shop.pids()["v1.web.1"] not in (None, before["v1.web.1"]))
    assert shop.fetch().startswith("v1 ")
    shop.ok(2)
    assert shop.fetch().startswith("v2 ")
    assert "the new supervisor ended before it ran; this one goes on\n" in _log(shop)
    mended = _installed(shop, tmp_path, "0.2.1")
    assert "took over from 0.1.0; nothing was restarted" in mended.ok("up").out


def test_a_new_supervisor_that_hangs_in_the_middle_is_replaced_by_the_old_one(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    address = shop.ok(1).address
    assert address is not None
    _installed(shop, tmp_path, "0.2.0", {"run/supervisor/succession.py": "\n_RUNS_WITHIN_S = 5.0\n"}).ok("up")
    before, supervisor = shop.pids(), shop.supervisor_pid()
    hangs = "\nimport os, signal\ndef recover(*_):\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    hanging = _installed(shop, tmp_path, "0.3.0", {"run/supervisor/recovery.py": hangs})
    with Load(address.port, gets_only=True) as load:
        done = hanging.run("up")
        load.wait_for(50)
    assert (done.status, done.out) == (40, "")
    assert "it was ended by SIGKILL. The one that ran, of Trivet 0.2.0, goes on." in done.err
    assert "trivet: the new supervisor does not answer: timed out\n" in _log(shop)
    assert load.failures == []
    assert (shop.pids(), shop.supervisor_pid(), _version(shop)) == (before, supervisor, "0.2.0")
    kill(before["v1.web.1"] or 0)
    wait_until(lambda: shop.pids()["v1.web.1"] not in (None, before["v1.web.1"]))
    assert "took over from 0.2.0; nothing was restarted" in _installed(shop, tmp_path, "0.3.1").ok("up").out


def test_a_new_front_door_that_cannot_begin_leaves_the_old_one_at_work(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    door = _door_status(shop)["pid"]
    broken = _installed(shop, tmp_path, "0.2.0", {"run/door/server.py": "\nraise SystemExit('broken')\n"})
    broken.ok("up")
    wait_until(lambda: "the new front door exited with 1, and the old one goes on" in _log(shop))
    assert (_door_status(shop)["pid"], _version(shop)) == (door, "0.2.0")
    assert shop.fetch().startswith("v1 ")
    _installed(shop, tmp_path, "0.2.1").ok("up")
    wait_until(lambda: _door_version(shop) == "0.2.1")
    assert shop.fetch().startswith("v1 ")


def test_no_front_door_is_left_when_all_ends_while_one_takes_over_from_another(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    old = _door_status(shop)["pid"]
    deaf = "\nDoorkeeper._take_events = lambda self: None\nDoorkeeper._sync = lambda self, *_: None\n"
    unaware = {"run/supervisor/doorkeeper.py": deaf}
    new = _installed(shop, tmp_path, "0.2.0", unaware)  # its supervisor has not noticed yet that the door is another
    new.ok("up")
    wait_until(lambda: _door_version(shop) == "0.2.0" and processes.start_time(int(str(old))) is None)
    heir = int(str(_door_status(shop)["pid"]))
    new.ok("down")
    wait_until(lambda: processes.start_time(heir) is None)


# Every document and every answer has fields that this version does not know, at every depth.
OF_A_LATER_VERSION = """

_known_to_json = to_json


def to_json(value):
    made = _known_to_json(value)
    if dataclasses.is_dataclass(value):
        made["of_a_later_version"] = {"more": [1]}
    return made
"""


def test_what_a_later_version_writes_and_says_is_understood_as_far_as_it_is_known(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    _installed(shop, tmp_path, "99.0.0", {"model/document.py": OF_A_LATER_VERSION}).ok("up")
    shop.shop(2)
    rolled = shop.ok(2)
    assert (_version(shop), rolled.succeeded, rolled.release) == ("99.0.0", True, 2)
    assert shop.machine.ended(shop.deploy, 2) == rolled
    assert shop.machine.scale(shop.deploy, {"worker": 2}).count("worker") == 2
    shop.machine.restart(shop.deploy, "worker.1")
    assert EventKind.LOST not in {event.kind for event in shop.machine.events(shop.deploy)}
    before = shop.pids()
    assert sorted(before) == ["v2.web.1", "v2.worker.1", "v2.worker.2"]
    assert b"of_a_later_version" in (shop.home.run(shop.deploy) / "status" / "v2.worker.2.json").read_bytes()
    kill(shop.supervisor_pid())
    wait_until(lambda: not shop.machine.is_up())
    assert {each.pid for each in shop.machine.processes(shop.deploy)} == set(before.values())
    shop.machine.up()
    assert (_version(shop), shop.pids()) == ("0.1.0", before)
    assert shop.fetch().startswith("v2 ")


def test_while_a_roll_out_is_in_flight_the_old_supervisor_stays(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.web(2, "import time\ntime.sleep(600)")
    shop.begin(2)
    supervisor = shop.supervisor_pid()
    trivet = _installed(shop, tmp_path, "0.2.0")
    done = trivet.run("up")
    assert (done.status, done.out) == (75, "")
    assert done.err == (
        "error: The supervisor, of Trivet 0.1.0, goes on: shop/production is being changed.\n"
        "hint:  Wait for that to end, then: trivet up\n"
    )
    assert shop.supervisor_pid() == supervisor
    shop.machine.abort(shop.deploy)
    shop.machine.ended(shop.deploy, 2)
    trivet.ok("up")
    assert _version(shop) == "0.2.0"


def test_an_installation_that_is_upgraded_where_it_lies_is_noticed_and_an_older_one_replaces_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    shop.shop(1)
    shop.ok(1)
    old, new = _installed(shop, tmp_path, "0.2.0"), _installed(shop, tmp_path, "0.3.0")
    old.ok("up")
    finding = _supervisor_finding(old)
    assert (finding["verdict"], finding["detail"]) == (
        "good",
        "running, of Trivet 0.2.0, with 1 of the apps' processes",
    )
    assert _supervisor_finding(new) == {
        "subject": "supervisor",
        "verdict": "weak",
        "detail": "running, of Trivet 0.2.0; installed is 0.3.0, with other code",
        "hint": "`trivet up` replaces it, and nothing that runs is restarted.",
    }
    new.ok("up")
    done = old.ok("up")
    assert done.err == "The supervisor that runs is of Trivet 0.3.0, and this is 0.2.0.\n"
    assert _version(shop) == "0.3.0"
    assert _supervisor_finding(old)["hint"].startswith("Use that version's `trivet`")
    set_version(tmp_path / "trivet-0.3.0", "0.3.1", "0.3.0")
    assert new.ok("up").out == (
        "up: shop/production (1)\nthe supervisor, of Trivet 0.3.1, took over from 0.3.0; nothing was restarted\n"
    )


def test_a_supervisor_that_an_init_system_has_started_becomes_the_new_one_and_stays_the_same_process(
    quiet_shop: Shop, tmp_path: Path
) -> None:
    shop = quiet_shop
    old, new = _installed(shop, tmp_path, "0.2.0"), _installed(shop, tmp_path, "0.3.0")
    with (
        old.start("up", "--foreground", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        _killed(process),
    ):
        wait_until(shop.machine.is_up)
        shop.shop(1)
        shop.ok(1)
        before, limit = shop.pids(), _open_files(shop.pids()["v1.web.1"])
        broken = _installed(shop, tmp_path, "0.2.1", {"run/supervisor/recovery.py": "\nraise SystemExit('broken')\n"})
        assert broken.run("up").status == 40
        assert (_version(shop), shop.pids()) == ("0.2.0", before)
        assert "took over from 0.2.0; nothing was restarted" in new.ok("up").out
        assert (shop.pids(), shop.supervisor_pid(), _version(shop)) == (before, process.pid, "0.3.0")
        kill(before["v1.web.1"] or 0)
        wait_until(lambda: shop.pids()["v1.web.1"] not in (None, before["v1.web.1"]))
        assert _open_files(shop.pids()["v1.web.1"]) == limit
        assert shop.fetch().startswith("v1 ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


@contextlib.contextmanager
def _killed(process: "subprocess.Popen[str]") -> Iterator[None]:
    """The process has ended after the block, whatever happens in it."""
    try:
        yield
    finally:
        process.kill()


def _open_files(pid: int | None) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max open files"))


def _supervisor_finding(trivet: Trivet) -> dict[str, str]:
    findings = trivet.run("doctor", "--json").json()
    return next(dict(finding) for finding in findings if finding["subject"] == "supervisor")


def _log(shop: Shop) -> str:
    return (shop.home.supervisor / "supervisor.log").read_text()

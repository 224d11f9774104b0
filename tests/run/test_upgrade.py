"""Trivet is upgraded while it runs: the supervisor and the front door of the new version take over, and nothing else changes."""

import contextlib
import http.client
import itertools
import threading
from collections import Counter
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, PYTHON, WEB, Shop, kill, wait_until
from support.command import Trivet
from support.installation import install
from trivet.errors import SupervisorUnreachable
from trivet.host import processes
from trivet.model.process import ProcessType
from trivet.run.door import link as door_link


class Load:
    """Clients that ask all the time, half of them on new connections, half on kept ones; every failure is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
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
        wait_until(lambda: self.failures or self.answers.total() >= until)

    def _ask(self, kept: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        for turn in itertools.count():
            if self._stopping.is_set():
                break
            try:
                body = f"{turn}" if turn % 2 else None
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


@pytest.fixture
def versions(shop: Shop, tmp_path: Path) -> tuple[Trivet, Trivet]:
    """Two installations for one home, 0.2.0 and 0.3.0; the supervisor that runs is of the version that the tests are."""
    return tuple(  # type: ignore[return-value]
        Trivet(shop.home.root, tmp_path, {"PYTHONPATH": str(install(tmp_path / version, version))})
        for version in ("0.2.0", "0.3.0")
    )


def _version(shop: Shop) -> str:
    return (shop.machine.version() or "").partition("+")[0]


def _door_status(shop: Shop) -> dict[str, object]:
    """What the front door says of itself; {} if it is just handing over."""
    with contextlib.suppress(SupervisorUnreachable), contextlib.closing(door_link.connect(shop.home)) as door:
        return dict(door.ask({"do": "status"}).data)
    return {}


def _door_version(shop: Shop) -> str:
    return str(_door_status(shop).get("version")).partition("+")[0]


def test_two_versions_take_over_under_load_and_nothing_is_lost_or_restarted(
    shop: Shop, versions: tuple[Trivet, Trivet]
) -> None:
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
    log = (shop.home.supervisor / "supervisor.log").read_text()
    assert "Traceback" not in log, log

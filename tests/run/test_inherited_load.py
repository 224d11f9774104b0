"""Releases are switched under load through an inherited socket, and no request is lost."""

import http.client
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from run.shop import PATIENCE_S, Shop, free_port, kill, wait_until
from support.servers import SERVERS
from trivet.model.process import ProcessType

pytestmark = pytest.mark.slow

SWITCHES = 5


@dataclass
class Load:
    """Clients that ask without a pause, on kept connections and on new ones, with a body and without; all is counted."""

    port: int
    stopping: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        kinds = [(kept, posts) for kept in (True, False) for posts in (True, False)]
        self.threads = [threading.Thread(target=self._ask, args=kind) for kind in kinds]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    @property
    def count(self) -> int:
        return self.answers.total()

    def _ask(self, kept: bool, posts: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = b"a body" * 100 if posts else b""
        fields = {} if kept else {"Connection": "close"}
        while not self.stopping.is_set():
            try:
                connection.request("POST" if posts else "GET", "/", sent or None, fields)
                answer = connection.getresponse()
                release, _, body = answer.read().partition(b" ")
                if answer.status == 200 and body == sent:
                    self.answers[release.decode()] += 1
                else:
                    self.failures.append(f"{answer.status} {body!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{'kept' if kept else 'new'} {'POST' if posts else 'GET'}: {error!r}")
                connection.close()
        connection.close()


def _release(shop: Shop, number: int, name: str, code: str | None = None) -> int:
    server = SERVERS[name]
    kind = ProcessType("web", server.command, timeout_s=PATIENCE_S, grace_s=PATIENCE_S, inherits=True)
    return shop.release(number, server.files if code is None else {"app.py": code}, (kind,))


def _until_answered(load: Load, release: str) -> None:
    before = load.answers[release]
    wait_until(lambda: load.answers[release] > before + 150)


@pytest.mark.parametrize("name", ["gunicorn sync", "gunicorn gthread"])
def test_no_request_is_lost_over_releases_failures_and_killed_supervisors(shop: Shop, name: str) -> None:
    port = free_port()
    _release(shop, 1, name)
    shop.ok(1, port)
    shop.machine.scale(shop.deploy, {"web": 2})
    number = 1
    with Load(port) as load:
        for turn in range(SWITCHES):
            number = _release(shop, number + 1, name)
            shop.ok(number)
            _until_answered(load, f"v{number}")
            if turn % 3 == 0:
                bad = _release(shop, number + 1, name, "raise SystemExit(3)")
                assert not shop.roll_out(bad).succeeded
                _until_answered(load, f"v{number}")
                number = _release(shop, bad + 1, name)  # what went well before, under a new number: a rollback
                shop.ok(number)
            elif turn % 3 == 1:
                kill(shop.supervisor_pid())
                shop.machine.up()
            else:
                shop.machine.restart(shop.deploy, None)
    assert load.failures == []
    assert load.count > 5000

"""Releases are switched under load, and no request is lost."""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from support.apps import DIES, shop
from support.command import Trivet, eventually
from support.repository import Repository

pytestmark = pytest.mark.slow


@dataclass
class Load:
    """Clients that ask without a pause, on kept connections and on new ones; every answer and every failure is counted."""

    port: int
    stopping: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self.threads = [threading.Thread(target=self._ask, args=(kept,)) for kept in (True, True, False, False)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(20)

    def _ask(self, kept: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        until = time.monotonic() + 120
        while not self.stopping.is_set() and time.monotonic() < until:
            try:
                connection.request("GET", "/", headers={} if kept else {"Connection": "close"})
                answer = connection.getresponse()
                body = answer.read().decode()
                if answer.status == 200:
                    self.answers[body.split()[0]] += 1
                else:
                    self.failures.append(f"{answer.status} {body}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_no_request_is_lost_over_deploys_config_changes_rollbacks_and_failures(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    trivet.ok("scale", "web=2")
    port = int(trivet.url.rsplit(":", 1)[1].strip("/"))
    with Load(port) as load:
        for number in range(2, 6):
            repository.commit(shop(f"v{number}"))
            trivet.ok("deploy")
            trivet.ok("config", "set", f"NUMBER={number}")
            eventually(lambda seen=f"v{number}": load.answers[seen] > 100, what="answers of the new release")  # type: ignore[misc]
        repository.commit(shop("broken", web=DIES))
        assert trivet.run("deploy").status == 40
        trivet.ok("rollback", "v1")
        trivet.ok("restart")
        trivet.ok("scale", "web=1")
        before = load.answers["v1"]
        eventually(lambda: load.answers["v1"] > before + 100, what="answers after the rollback")
    assert load.failures == []
    assert set(load.answers) == {"v1", "v2", "v3", "v4", "v5"}
    assert sum(load.answers.values()) > 1500

"""Reading stays quick however long the ledger grows: no query reads rows it does not answer with. Nothing is timed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from trivet.model.config import Config
from trivet.model.document import canonical
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Act, Draft, Outcome, Release, State
from trivet.release import ConfigStore, Ledger, choose_rollback_target
from trivet.release.config_store import read_newest_version, read_sealed
from trivet.release.database import open_database, writing
from trivet.release.entry import OutcomeBody, describe, entry_hash
from trivet.release.merkle import NO_PEAKS, grow
from trivet.release.records import (
    read_current,
    read_deploys,
    read_last_entry,
    read_pending,
    read_pins,
    read_record,
    read_records,
    read_span,
    read_story,
)

RELEASES = 10_000


@pytest.fixture
def connection(home: Home) -> Iterator[sqlite3.Connection]:
    with closing(open_database(home.database)) as opened:
        yield opened


@pytest.fixture
def long_ledger(connection: sqlite3.Connection, draft: Callable[..., Draft], deploy: Deploy) -> sqlite3.Connection:
    """10,000 releases with their outcomes, written in one transaction and without folders."""
    wanted = draft()
    body = replace(describe(_release(wanted), Config(), ""), env_salt="")
    text = canonical(body)
    outcome = canonical(OutcomeBody(Act(wanted.actor), Outcome(State.SUCCEEDED)))
    position, peaks = 0, NO_PEAKS
    with writing(connection):
        for number in range(1, RELEASES + 1):
            for kind, content in (("release", text.replace('"number":0', f'"number":{number}')), ("outcome", outcome)):
                row = (position + 1, deploy.app, deploy.name, kind, number, "2026-11-23T10:00:00.000Z", content)
                leaf = entry_hash(*row)
                peaks = grow(peaks, position, leaf)
                connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?)", (*row, leaf, peaks))
                position += 1
    return connection


def _release(wanted: Draft) -> Release:
    return Release(
        deploy=wanted.deploy,
        number=0,
        build=wanted.build,
        config_version=0,
        config_change=wanted.config_change,
        cause=wanted.cause,
        reason=wanted.reason,
        actor=wanted.actor,
        created_at="2026-11-23T10:00:00.000Z",
    )


READS: dict[str, Callable[[sqlite3.Connection, Deploy], object]] = {
    "records": lambda connection, deploy: tuple(read_records(connection, deploy, 20)),
    "record": lambda connection, deploy: read_record(connection, deploy, 1),
    "current": read_current,
    "pending": read_pending,
    "deploys": lambda connection, deploy: read_deploys(connection),
    "span": read_span,
    "last entry": lambda connection, deploy: read_last_entry(connection),
    "pins": read_pins,
    "story": lambda connection, deploy: next(read_story(connection, deploy.app)),
    "config": lambda connection, deploy: read_sealed(connection, deploy, 1),
    "newest config": read_newest_version,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_query_is_answered_from_an_index(
    connection: sqlite3.Connection,
    ledger: Ledger,
    store: ConfigStore,
    draft: Callable[..., Draft],
    deploy: Deploy,
    read: Callable[[sqlite3.Connection, Deploy], object],
) -> None:
    version = store.add(deploy, Config({"KEY": "value"}))
    ledger.append(draft(config_version=version.version), version.config)
    ledger.conclude(deploy, 1, Outcome(State.SUCCEEDED))
    queries: list[str] = []
    connection.set_trace_callback(queries.append)
    read(connection, deploy)
    connection.set_trace_callback(None)
    plans = [row[3] for query in queries for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plans
    # By the primary key's first two columns alone is every row of the deploy, unless the order ends it at the first.
    unordered = [query for query in queries if "ORDER BY" not in query]
    whole = [row[3] for query in unordered for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert [plan for plan in plans if "SCAN" in plan or "TEMP B-TREE" in plan] == []
    assert [plan for plan in whole if plan.endswith("USING PRIMARY KEY (app=? AND deploy=?)")] == []


@pytest.mark.slow
def test_of_ten_thousand_releases_only_what_is_asked_for_is_read(
    home: Home, long_ledger: sqlite3.Connection, deploy: Deploy
) -> None:
    whole = _bytes_read(home, lambda ledger: ledger.records(deploy))
    assert whole > 10_000_000
    reads: dict[str, Callable[[Ledger], object]] = {
        "the last twenty": lambda ledger: ledger.records(deploy, limit=20),
        "one in the middle": lambda ledger: ledger.record(deploy, 5_000),
        "the current one": lambda ledger: ledger.current(deploy),
        "the pending ones": lambda ledger: ledger.pending(deploy),
        "the pinned ones": lambda ledger: ledger.pins(deploy),
        "the end of the story": lambda ledger: next(ledger.story(deploy.app)),
        "the deploys": Ledger.deploys,
        "where to roll back to": lambda ledger: choose_rollback_target(ledger.walk(deploy), RELEASES - 1),
    }
    taken = {name: _bytes_read(home, read) for name, read in reads.items()}
    assert {name for name, size in taken.items() if size > whole / 50} == set()
    with Ledger(home) as ledger:
        assert [record.release.number for record in ledger.records(deploy, limit=2)] == [RELEASES, RELEASES - 1]


@pytest.mark.slow
def test_appending_to_a_long_ledger_reads_little_of_it(
    home: Home, long_ledger: sqlite3.Connection, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    whole = _bytes_read(home, lambda ledger: ledger.records(deploy))
    assert _bytes_read(home, lambda ledger: ledger.append(draft(), Config())) < whole / 50


def _bytes_read(home: Home, action: Callable[[Ledger], object]) -> int:
    """What a ledger that has just been opened, and has nothing in memory, reads for it: work, which no other load changes."""
    with Ledger(home) as ledger:
        before = _read_by_us()
        action(ledger)
        return _read_by_us() - before


def _read_by_us() -> int:
    """Bytes that this process has read since it began, from the page cache as well. proc(5)"""
    words = Path("/proc/self/io").read_text().split()
    return int(words[words.index("rchar:") + 1])

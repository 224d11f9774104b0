"""What a long ledger costs: an append, the last releases, the pending ones, a proof, and a verification of it all.

    .venv/bin/python bench/ledger.py [--rounds 15]

Ledgers of 10, 10,000 and 100,000 entries, of twenty deploys, each release with its roll-out, its outcome and what it superseded
(four entries), a folder and a checkpoint. Goals: an append costs the same in all of them (within 1.2 times), the last 20 of
100,000 under 50 ms, 100,000 verified in under 2 s.
"""

import argparse
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from measure import TRIVET, interleave, print_milliseconds, time_command
from trivet.model.build import Build, Layer
from trivet.model.config import Config, ConfigChange
from trivet.model.document import canonical
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.process import ProcessType
from trivet.model.release import Act, Actor, Cause, Draft, Outcome, Release, State
from trivet.model.source import Source
from trivet.release import Ledger
from trivet.release.checkpoints import checkpoint_of, sign
from trivet.release.database import open_database, writing
from trivet.release.entry import OutcomeBody, RollOutBody, SupersededBody, describe, entry_hash, release_file
from trivet.release.key import signing_key
from trivet.release.merkle import grow

SIZES = (10, 10_000, 100_000)
DEPLOYS = 20
ACTOR = Actor("ada", "engine", "SHA256:/HCWZbhLiAOdMh9xVjkk9MZwqhjT10CPF2p+aK/PFVA")
AT = "2026-11-23T10:00:00.000Z"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        homes = {size: _fill(Home(Path(folder) / str(size)), size) for size in SIZES}
        _print_appends(homes, rounds)
        _print_reads(homes, rounds)
        _print_commands(homes, rounds)


def _print_appends(homes: dict[int, Home], rounds: int) -> None:
    """A release from its folder to its checkpoint, and one entry by itself, each ledger once a round."""
    ledgers = {size: Ledger(home) for size, home in homes.items()}
    deploy = _deploys()[0]
    pinned = dict.fromkeys(SIZES, False)

    def release(size: int) -> float:
        started = time.perf_counter()
        ledger = ledgers[size]
        number = ledger.append(_draft(deploy), Config()).number
        ledger.begin_roll_out(deploy, number)
        ledger.conclude(deploy, number, Outcome(State.SUCCEEDED))
        return time.perf_counter() - started

    def entry(size: int) -> float:
        pinned[size] = not pinned[size]
        started = time.perf_counter()
        ledgers[size].pin(deploy, 1, Act(ACTOR, "keep it"), keep=pinned[size])
        return time.perf_counter() - started

    for what, action in (("one entry", entry), ("a release: four entries, folder, checkpoint", release)):
        figures = interleave({f"{size:,} entries": _bound(action, size) for size in SIZES}, rounds=rounds * 10)
        print_milliseconds(f"Append {what}, medians of {rounds * 10}", figures)
        medians = [statistics.median(seconds) for seconds in figures.values()]
        print(f"{'most to least':<44} {max(medians) / min(medians):9.2f}")
    for ledger in ledgers.values():
        ledger.__exit__(None, None, None)


def _print_reads(homes: dict[int, Home], rounds: int) -> None:
    """In one process, each from a ledger that was just opened."""
    deploy = _deploys()[0]

    def of(size: int, read: Callable[[Ledger], object]) -> Callable[[], float]:
        def run() -> float:
            with Ledger(homes[size]) as ledger:
                started = time.perf_counter()
                read(ledger)
                return time.perf_counter() - started

        return run

    reads: dict[str, Callable[[Ledger], object]] = {
        "the last 20": lambda ledger: ledger.records(deploy, limit=20),
        "the pending ones": lambda ledger: ledger.pending(deploy),
        "the current one": lambda ledger: ledger.current(deploy),
        "a proof": lambda ledger: ledger.prove(deploy, 1),
        "verified, with folders and checkpoints": lambda ledger: ledger.verify(),
    }
    for size in SIZES:
        figures = interleave({name: of(size, read) for name, read in reads.items()}, rounds=rounds)
        print_milliseconds(f"{size:,} entries, medians of {rounds}", figures)
    bare = {size: _without_folders(home) for size, home in homes.items()}
    figures = interleave({f"{size:,} entries": partial(_verify, bare[size]) for size in SIZES}, rounds=rounds)
    print_milliseconds(f"Verified, the entries alone, medians of {rounds}", figures)


def _without_folders(home: Home) -> Home:
    """The same ledger where there is nothing but the database."""
    bare = Home(home.root.with_name(f"{home.root.name} bare"))
    bare.root.mkdir()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home.database, bare.database)
    return bare


def _verify(home: Home) -> float:
    with Ledger(home) as ledger:
        started = time.perf_counter()
        ledger.verify()
        return time.perf_counter() - started


def _print_commands(homes: dict[int, Home], rounds: int) -> None:
    """Whole commands, with the start of Python."""
    commands = {"releases -a app-1": ("releases", "-a", "app-1"), "releases verify": ("releases", "verify")}
    figures = interleave(
        {
            f"trivet {name}, {size:,} entries": _bound(
                lambda given: time_command((*TRIVET, *given[1]), environment={"TRIVET_HOME": str(given[0].root)}),
                (homes[size], arguments),
            )
            for name, arguments in commands.items()
            for size in SIZES
        },
        rounds=rounds,
    )
    print_milliseconds(f"Commands, medians of {rounds}", figures)


def _bound(action: Callable[..., float], given: object) -> Callable[[], float]:
    return lambda: action(given)


def _deploys() -> tuple[Deploy, ...]:
    return tuple(
        Deploy(parse_app_name(f"app-{index}"), parse_deploy_name("production")) for index in range(1, DEPLOYS + 1)
    )


def _fill(home: Home, size: int) -> Home:
    """A ledger of so many entries, in one transaction; folders and checkpoints without waiting for the disk."""
    with Ledger(home) as ledger:
        first = _deploys()[0]
        ledger.conclude(first, ledger.append(_draft(first), Config()).number, Outcome(State.SUCCEEDED))
    key = signing_key(home)
    connection = open_database(home.database)
    position, peaks = connection.execute("SELECT position, peaks FROM ledger ORDER BY position DESC").fetchone()
    with writing(connection):
        connection.execute("DROP TRIGGER ledger_next")  # checked when it is verified; here it would only take time
        for deploy, kind, number, body, salt in _entries(home, size - position):
            row = (position + 1, deploy.app, deploy.name, kind, number, AT, canonical(body))
            leaf = entry_hash(*row)
            peaks = grow(peaks, position, leaf)
            connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, salt, leaf, peaks))
            position += 1
            if kind == "superseded":
                path = home.release(deploy, number) / "checkpoint"
                path.write_text(sign(checkpoint_of(position, peaks), key)) if not path.exists() else None
    connection.close()
    subprocess.run(("sync",), check=True)
    return home


def _entries(home: Home, count: int) -> Iterator[tuple[Deploy, str, int, object, str]]:
    numbers = dict.fromkeys(_deploys(), 0) | {_deploys()[0]: 1}
    act = Act(ACTOR, "deploy 1f0c2d3e Open the shop")
    made = 0
    while True:
        for deploy in _deploys():
            number = numbers[deploy] = numbers[deploy] + 1
            release = _release(deploy, number)
            body = describe(release, Config(), "")
            folder = home.release(deploy, number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "release.json").write_bytes(release_file(release))
            for entry in (
                (deploy, "release", number, replace(body, env_salt=""), body.env_salt),
                (deploy, "roll_out", number, RollOutBody(act, number - 1 or None), ""),
                (deploy, "outcome", number, OutcomeBody(act, Outcome(State.SUCCEEDED, timings_s={"ready": 0.25})), ""),
                *([(deploy, "superseded", number - 1, SupersededBody(act, number), "")] if number > 1 else []),
            ):
                yield entry
                made += 1
                if made == count:
                    return


def _draft(deploy: Deploy) -> Draft:
    return Draft(
        deploy=deploy,
        build=_build(deploy),
        config_version=0,
        config_change=ConfigChange(changed=("DATABASE_URL",)),
        cause=Cause.DEPLOY,
        reason="deploy 1f0c2d3e Open the shop",
        actor=ACTOR,
    )


def _release(deploy: Deploy, number: int) -> Release:
    draft = _draft(deploy)
    return Release(
        deploy=deploy,
        number=number,
        build=draft.build,
        config_version=0,
        config_change=draft.config_change,
        cause=draft.cause,
        reason=draft.reason,
        actor=draft.actor,
        created_at=AT,
    )


def _build(deploy: Deploy) -> Build:
    """As large as a build of a Python app is on record."""
    return Build(
        id="5b0e3c2a9d41",
        app=deploy.app,
        source=Source("1f0c2d3e" * 5, "7" * 40, "Open the shop", "Ada <ada@example.org>", AT, "", "/src/shop"),
        builder="python",
        input_key="k" * 64,
        layers=tuple(Layer(name, name[0] * 64, 900, 5_000_000) for name in ("runtime", "dependencies", "app")),
        processes=(
            ProcessType("web", "gunicorn shop:app --bind 127.0.0.1:$PORT"),
            ProcessType("worker", "python worker.py"),
            ProcessType("release", "python migrate.py"),
        ),
        environment={"PATH": "{bundle}/dependencies/bin:{bundle}/runtime/bin", "PYTHONPATH": "{bundle}/app"},
        tools={},
        runtime=None,
        created_at=AT,
        duration_s=1.5,
    )


if __name__ == "__main__":
    main()

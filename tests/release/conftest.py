"""A home, a deploy, and short ways to make builds, drafts and records of them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trivet.model.build import Build, Layer, Program
from trivet.model.config import ConfigChange
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.process import ProcessType
from trivet.model.release import Actor, Cause, Draft, Origin, Outcome, Record, Release, State
from trivet.model.source import Source
from trivet.release import ConfigStore, Ledger

MakeDraft = Callable[..., Draft]
MakeRecord = Callable[..., Record]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def deploy() -> Deploy:
    return Deploy(parse_app_name("shop"), parse_deploy_name("production"))


@pytest.fixture
def actor() -> Actor:
    return Actor("ada", "engine")


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with Ledger(home) as opened:
        yield opened


@pytest.fixture
def store(home: Home) -> Iterator[ConfigStore]:
    with ConfigStore(home) as opened:
        yield opened


@pytest.fixture
def plain_client(home: Home, ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """Any other SQLite client on the same file: none of our functions, every pragma as SQLite sets it."""
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def build() -> Callable[..., Build]:
    """A build; `processes` are name=command."""

    def make(build_id: str = "b1", *, commit: str = "c" * 40, **processes: str) -> Build:
        return Build(
            id=build_id,
            app=parse_app_name("shop"),
            source=Source(
                commit, "7" * 40, "Sell tea", "Ada <ada@example.org>", "2026-11-23T10:00:00Z", "", "/src/shop"
            ),
            builder="python",
            input_key="k" * 64,
            layers=(Layer("app", "a" * 64, 3, 1200), Layer("dependencies", "d" * 64, 900, 5_000_000)),
            processes=tuple(ProcessType(*item) for item in (processes or {"web": "serve"}).items()),
            environment={"PATH": "{bundle}/bin"},
            tools={"uv": Program("/usr/bin/uv", "0.9.1")},
            runtime=None,
            created_at="2026-11-23T10:00:01.000Z",
            duration_s=1.5,
        )

    return make


@pytest.fixture
def draft(build: Callable[..., Build], deploy: Deploy, actor: Actor) -> MakeDraft:
    """A draft of a release; of version 0, the empty config, unless told."""

    def make(made: Build | None = None, *, config_version: int = 0, to: Deploy = deploy, reason: str = "try") -> Draft:
        return Draft(to, made or build(), config_version, ConfigChange(added=("KEY",)), Cause.DEPLOY, reason, actor)

    return make


@pytest.fixture
def record(build: Callable[..., Build], deploy: Deploy, actor: Actor) -> MakeRecord:
    """A record as the ledger would tell it; `back_to`: a rollback to this release."""

    def make(
        number: int,
        state: State = State.SUCCEEDED,
        made: Build | None = None,
        config_version: int = 1,
        *,
        back_to: int | None = None,
    ) -> Record:
        release = Release(
            deploy=deploy,
            number=number,
            build=made or build(f"b{number}"),
            config_version=config_version,
            config_change=ConfigChange(),
            cause=Cause.DEPLOY if back_to is None else Cause.ROLLBACK,
            reason="try",
            actor=actor,
            created_at="2026-11-23T10:00:00.000Z",
            origin=None if back_to is None else Origin(deploy, back_to),
        )
        ended_at = None if state is State.PENDING else "2026-11-23T10:00:09.000Z"
        return Record(release, Outcome(state), ended_at)

    return make

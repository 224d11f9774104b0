"""Who had what built, and what came of it: a build that failed is on record, too."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from support.building import APP, Builder, Recorder
from trivet.build import BuildRequest, list_attempts, make_build, remove_builds
from trivet.errors import TrivetError

FILES = {"Procfile": "web: ./serve\n", "serve": "#!/bin/sh\n"}


def test_what_was_made_and_what_failed_is_on_record_newest_first(builder: Builder) -> None:
    made = builder.commit(FILES)
    builder.build()  # found: nothing was made
    with pytest.raises(TrivetError):
        builder.commit({"Procfile": "web\n"})
    with pytest.raises(TrivetError):
        builder.commit({"Procfile": "web: ./serve\n", "trivet.toml": "app = 3\n"})
    with pytest.raises(TrivetError):
        builder.build("nowhere")  # no commit, so nothing was to be built
    builder.commit({"trivet.toml": 'app = "shop"\n'})
    attempts = list_attempts(builder.home, APP)
    assert [(each.build is not None, bool(each.failure)) for each in attempts] == [
        (True, False),
        (False, True),
        (False, True),
        (True, False),
    ]
    assert attempts[-1].build == made.build.id
    assert attempts[-1].commit == made.build.source.commit
    assert attempts[1].failure.startswith("trivet.toml")
    assert attempts[2].failure.startswith("Procfile:1")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", each.at) and each.duration_s >= 0 for each in attempts)
    assert list_attempts(builder.home, APP, 2) == attempts[:2]


def test_whoever_asked_is_on_record(builder: Builder) -> None:
    builder.repository.commit(FILES)
    request = BuildRequest(builder.home, APP, builder.repository.path, "HEAD", caller=builder.caller)
    make_build(replace(request, actor="ada@desk"), Recorder())
    assert [each.actor for each in list_attempts(builder.home, APP)] == ["ada@desk"]


def test_what_cannot_be_put_on_record_is_built_all_the_same_and_said(builder: Builder) -> None:
    builder.commit(FILES)
    with closing(sqlite3.connect(builder.home.database)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON build_attempts BEGIN SELECT RAISE(ABORT, 'not today'); END"
        )
    built = builder.commit({"serve": "#!/bin/sh\nexit\n"})
    assert not built.found
    assert builder.told.notices == [
        "`trivet log` will not tell of this build. Cannot read or write the index of builds: not today."
    ]
    with pytest.raises(TrivetError, match="Procfile:1"):
        builder.commit({"Procfile": "web\n"})


def test_the_attempts_go_with_the_app(builder: Builder) -> None:
    builder.commit(FILES)
    remove_builds(builder.home, APP)
    assert list_attempts(builder.home, APP) == ()

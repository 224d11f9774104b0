"""What differs between two releases."""

from collections.abc import Callable
from dataclasses import replace

from trivet.model.build import Build
from trivet.model.config import Config, ConfigChange
from trivet.model.release import Record, State
from trivet.release import diff

MakeRecord = Callable[..., Record]
MakeBuild = Callable[..., Build]


def test_process_types_are_compared_with_their_commands(record: MakeRecord, build: MakeBuild) -> None:
    old = record(1, State.SUCCEEDED, build("b1", web="serve", worker="work", clock="tick"))
    new = record(2, State.SUCCEEDED, build("b2", web="serve --fast", worker="work", mailer="mail"))
    found = diff(old, new, Config(), Config())
    assert [change.name for change in found.processes] == ["web", "mailer", "clock"]
    assert found.lines == ("- web: serve", "+ web: serve --fast", "+ mailer: mail", "- clock: tick")


def test_a_process_type_with_other_settings_differs(record: MakeRecord, build: MakeBuild) -> None:
    made = build("b1", web="serve")
    slower = replace(made, processes=tuple(replace(process, grace_s=90.0) for process in made.processes))
    found = diff(record(1, State.SUCCEEDED, made), record(2, State.SUCCEEDED, slower), Config(), Config())
    assert found.lines == ("~ web: serve (its settings in trivet.toml differ)",)


def test_builds_and_commits_are_compared(record: MakeRecord, build: MakeBuild) -> None:
    old = record(1, State.SUCCEEDED, build("b1", commit="1" * 40))
    new = record(2, State.SUCCEEDED, build("b2", commit="2" * 40))
    found = diff(old, new, Config(), Config())
    assert (found.old, found.new, found.same_build) == (1, 2, False)
    assert (found.old_commit, found.new_commit) == ("1" * 40, "2" * 40)
    assert diff(old, old, Config(), Config()).same_build


def test_config_is_compared_by_key_and_shows_no_value(record: MakeRecord) -> None:
    old, new = (
        Config({"KEPT": "secret-1", "GONE": "secret-2", "OTHER": "secret-3"}),
        Config({"KEPT": "secret-1", "NEW": "secret-4", "OTHER": "secret-5"}),
    )
    found = diff(record(1), record(2), old, new)
    assert found.config == ConfigChange(added=("NEW",), changed=("OTHER",), removed=("GONE",))
    assert "secret" not in repr(found)

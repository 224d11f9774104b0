"""The hostile app tries all it can, as root and as nobody, by every way of confining a build; the docs say what came of it."""

import os
import re
from collections.abc import Iterator

import pytest

from support.building import WAYS
from support.hostile import EXAMPLE, NOBODY, Scene, is_running, scene, users
from trivet.host.seclusion import Seclusion

PAGE = (EXAMPLE.parent.parent / "docs" / "explanation" / "sealed-builds.md").read_text()
ATTEMPTS = {
    name: text
    for path in sorted((EXAMPLE / "attempts").glob("*.py"))
    for text, name in re.findall(r'^@attempt\("(.+)"\)\ndef (\w+)\(', path.read_text(), re.M)
}
CASES = [
    (user, way) for user in users() for way in WAYS if user == 0 or way is not Seclusion.NAMESPACES
]  # which only root can make without a user's own
# What works for anybody who is not confined, so that a refusal means something.
SHOWN_TO_WORK = {
    *("read_ssh_key", "read_ledger", "read_config", "read_cache", "read_layer", "read_object", "read_scratch"),
    *("read_config_key", "read_plain_config"),
    *("read_environment", "read_environments", "read_command_line", "read_memory", "enter_root", "enter_directory"),
    *("read_repository", "read_aws", "read_netrc", "read_npmrc", "read_shared_file", "read_terminal", "list_person"),
    *("write_repository", "write_hook", "write_home", "write_layer", "write_cache", "write_scratch", "write_shared"),
    *("write_temporary", "write_terminal", "change_mode", "link_file", "follow_link", "follow_parents"),
    *("connect_tcp", "connect_udp", "connect_unix", "connect_abstract", "send_signal", "set_priority"),
    *("set_limit", "stop", "take_descriptor", "attach_memory"),
}


@pytest.fixture(scope="module", params=users(), ids=lambda user: "root" if user == 0 else "another")
def machine(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """What the app is set on, all of one user."""
    with scene(request.param) as made:
        yield made


def _rows(title: str) -> list[tuple[str, ...]]:
    """The cells of all tables below a heading of the page."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| attempt |")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def _not_enforced(way: str) -> set[str]:
    texts = {text for text, ways, _ in _rows("What is not enforced") if f"`{way}`" in ways}
    return {name for name, text in ATTEMPTS.items() if text in texts}


@pytest.mark.parametrize("way", WAYS)
def test_every_attempt_is_refused_but_those_that_the_docs_name(machine: Scene, way: str) -> None:
    if (machine.user, way) not in CASES:
        way = Seclusion.USER_NAMESPACES
    outcomes = machine.build(way)
    assert set(outcomes) == set(ATTEMPTS)
    done = {name: outcome for name, outcome in outcomes.items() if not outcome.startswith("refused: ")}
    assert {name: outcome for name, outcome in done.items() if name not in _not_enforced(way)} == {}
    assert not is_running(machine.name)
    assert not list(machine.root.rglob("hostile-was-here"))
    if way is Seclusion.NAMESPACES:
        assert {name: outcomes[name] for name in ATTEMPTS if not _is_told(name, outcomes[name])} == {}


def _is_told(name: str, outcome: str) -> bool:
    """Whether the page says of the attempt that this is what is seen."""
    seen = {text: cells for text, _, cells in _rows("What was tried")}[ATTEMPTS[name]]
    return any(outcome.startswith(f"refused: {each}") for each in re.findall("`([^`]+)`", seen))


@pytest.mark.skipif(os.geteuid() == 0 and NOBODY not in users(), reason="root does not try all this unconfined")
def test_the_attempts_would_work_if_nothing_refused_them() -> None:
    with scene(max(users())) as machine:
        outcomes = machine.build(Seclusion.NONE)
    assert {name: outcomes[name] for name in SHOWN_TO_WORK if not outcomes[name].startswith("done")} == {}


def test_the_docs_have_a_row_for_every_attempt_and_name_tests_that_are_there() -> None:
    rows = _rows("What was tried")
    texts = [text for text, _, _ in rows]
    assert len(texts) == len(set(texts))
    assert set(ATTEMPTS.values()) <= set(texts)
    tests = "\n".join(path.read_text() for path in EXAMPLE.parent.parent.glob("tests/*/test_*.py"))
    named = re.findall(r"\btest_\w+", "\n".join(seen for _, _, seen in rows))
    assert [name for name in named if f"def {name}(" not in tests] == []
    judged = [seen for text, _, seen in rows if text not in ATTEMPTS.values()]
    assert all("test_" in seen or seen == "no such process runs" for seen in judged)
    assert {text for text, _, _ in _rows("What is not enforced")} <= set(ATTEMPTS.values())


@pytest.mark.fetches
@pytest.mark.skipif(os.geteuid() != 0, reason="the hook is tried as the user that can try most; CI runs as root")
@pytest.mark.parametrize("way", WAYS)
def test_an_install_hook_gets_no_further_than_a_command(way: str) -> None:
    with scene(0) as machine:
        outcomes = machine.build_hook(way)
        assert set(outcomes) == set(ATTEMPTS)
        done = {name: outcome for name, outcome in outcomes.items() if not outcome.startswith("refused: ")}
        assert {name: outcome for name, outcome in done.items() if name not in _not_enforced(way)} == {}
        assert not is_running(machine.name)
        assert not list(machine.root.rglob("hostile-was-here"))

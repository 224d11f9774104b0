"""The hostile app tries all it can while it runs, where Trivet is root and where it is not; the docs say what came of it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import trivet
from run.shop import DEADLINE_S
from trivet.host.sandbox import Sandbox
from trivet.host.user import closed_folder

NOBODY = 65534
ROOM = Path(__file__).parents[2]
RUNNING = ROOM / "examples" / "hostile" / "running"
PAGE = (ROOM / "docs" / "explanation" / "sealed-apps.md").read_text()
ATTEMPTS = {
    name: text
    for path in sorted(RUNNING.glob("*.py"))
    for text, name in re.findall(r'^@attempt\("(.+)"\)\ndef (\w+)\(', path.read_text(), re.M)
}
AS_ROOT = {"root": (0, ""), "closed home": (0, "closed"), "another user": (NOBODY, "")}
CASES = AS_ROOT if os.geteuid() == 0 else {"another user": (os.geteuid(), "")}
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""
# What works for anybody who is not confined, so that a refusal means something.
SHOWN_TO_WORK = {
    *(
        "read_ledger",
        "read_key",
        "read_others_environment_file",
        "read_own_environment_file",
        "read_release",
        "read_store",
    ),
    *(
        "read_subscribers",
        "read_others_code",
        "read_others_storage",
        "read_others_temporary",
        "read_logs",
        "read_status",
    ),
    *("list_home", "look_for_others_file", "read_person", "list_person", "read_machines_temporary", "read_shared_file"),
    *("read_terminal", "read_own_environment", "read_environment", "read_memory", "enter_root", "enter_descriptors"),
    *(
        "write_home",
        "change_status",
        "write_others_storage",
        "write_others_temporary",
        "write_others_log",
        "write_person",
    ),
    *(
        "write_machines_temporary",
        "change_shared_file",
        "write_terminal",
        "change_others_mode",
        "take_file",
        "follow_link",
    ),
    *(
        "send_signal",
        "send_signal_to_all",
        "stop",
        "trace",
        "take_descriptor",
        "read_remotely",
        "set_limit",
        "set_priority",
    ),
    *("attach_memory", "connect_backend", "connect_person", "connect_unix", "listen_then", "gain_rights", "leave_job"),
    "take_ports",
    *("command_supervisor", "command_door", "find_session_key", "find_user_key"),
}
pytestmark = [
    pytest.mark.skipif(Sandbox().sealing.abi < 6, reason="the page tells of kernels with all of Landlock"),
    pytest.mark.skipif(
        not PYTHON or closed_folder(Path(PYTHON)) is not None, reason="the machine has no Python for everybody"
    ),
]


def _outcomes(user: int, how: str) -> Mapping[str, str]:
    """What came of each attempt, by its name: "refused: Permission denied", "done: …"."""
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        library = root / "library"
        shutil.copytree(Path(trivet.__file__).parent, library / "trivet", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(RUNNING, root / "running", ignore=shutil.ignore_patterns("__pycache__"))
        (library / "run").mkdir()
        shutil.copy(ROOM / "tests/run/shop.py", library / "run")
        for path in (root, *root.rglob("*")):
            os.chown(path, user, user)
            path.chmod(0o755 if path.is_dir() else 0o644)
        if how == "closed":
            root.chmod(0o700)
        environment = {"PYTHONPATH": str(library), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        argv = (PYTHON, "-u", str(_driver(library)), folder, how)
        groups = () if os.geteuid() == 0 else None
        done = subprocess.run(
            argv,
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=4 * DEADLINE_S,
            user=user,
            group=user if groups is not None else None,
            extra_groups=groups,
        )
        assert done.stdout.endswith("finished\n"), (done.stdout[-2000:], done.stderr)
        parts = (line.partition(": ") for line in done.stdout.splitlines())
        return {name: outcome for name, _, outcome in parts if outcome.startswith(("refused", "done"))}


def _driver(library: Path) -> Path:
    return Path(shutil.copy(ROOM / "tests/support/hostile_at_run.py", library))


def _rows(title: str) -> Iterator[tuple[str, ...]]:
    """The cells of all tables below a heading of the page."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| attempt |"):
            yield tuple(cell.strip() for cell in line.strip("|").split(" | "))


def _not_enforced(where: str) -> set[str]:
    texts = {text for text, places, _ in _rows("What is not enforced") if f"`{where}`" in places}
    return {name for name, text in ATTEMPTS.items() if text in texts}


@pytest.mark.parametrize("where", CASES)
def test_every_attempt_is_refused_but_those_that_the_docs_name(where: str) -> None:
    outcomes = _outcomes(*CASES[where])
    assert set(outcomes) == set(ATTEMPTS)
    done = {name: outcome for name, outcome in outcomes.items() if not outcome.startswith("refused: ")}
    assert {name: done[name] for name in done.keys() - _not_enforced(where)} == {}
    assert _not_enforced(where) - done.keys() == set()
    if where != "closed home":
        assert {name: outcomes[name] for name in ATTEMPTS if not _is_told(name, where, outcomes[name])} == {}


def _is_told(name: str, where: str, outcome: str) -> bool:
    """Whether the page says of the attempt that this is what is seen."""
    cells = {text: (root, other) for text, _, root, other in _rows("What was tried")}[ATTEMPTS[name]]
    cell = cells[where == "another user"]
    seen = re.findall("`([^`]+)`", cell)
    return (
        cell == "it works"
        if outcome.startswith("done")
        else any(outcome.startswith(f"refused: {each}") for each in seen)
    )


def test_the_attempts_would_work_if_nothing_refused_them() -> None:
    user, _ = CASES["another user"]
    outcomes = _outcomes(user, "free")
    assert {name: outcomes[name] for name in sorted(SHOWN_TO_WORK) if not outcomes[name].startswith("done")} == {}


def test_the_page_has_a_row_for_every_attempt() -> None:
    texts = [cells[0] for cells in _rows("What was tried")]
    assert len(texts) == len(set(texts))
    assert set(ATTEMPTS.values()) == set(texts)
    assert {cells[0] for cells in _rows("What is not enforced")} <= set(texts)

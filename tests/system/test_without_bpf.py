"""A machine that takes no BPF program at a listening socket: apps are relayed as ever, and `socket = "inherit"` says why not."""

import sys

import pytest

import support.without_bpf
from run.test_inherit import HEIR
from support.apps import shop
from support.command import Trivet, fetch
from support.repository import Repository

REFUSED = """
error: `socket = "inherit"` needs a BPF program at the listening socket, and the machine refuses it: Operation not permitted.
hint:  Linux has it since 4.6; some sandboxes have not. Take the line out of trivet.toml: then the front door relays.
"""
INHERITING = """
app = "shop"

[build]
builder = "procfile"

[processes.web]
socket = "inherit"
"""


@pytest.fixture
def sandboxed(trivet: Trivet) -> Trivet:
    """`trivet` whose every command, supervisor and front door is forbidden to attach one."""
    trivet.launcher = (sys.executable, support.without_bpf.__file__)
    return trivet


def _inherit(repository: Repository) -> None:
    repository.commit({"trivet.toml": INHERITING, "Procfile": "web: exec python3 heir.py\n", "heir.py": HEIR})


def test_a_first_release_that_would_inherit_is_refused_and_one_that_listens_serves(
    sandboxed: Trivet, repository: Repository
) -> None:
    _inherit(repository)
    done = sandboxed.run("deploy")
    assert (done.status, done.out, done.err[-len(REFUSED) :]) == (40, "", REFUSED), done.err
    repository.commit({**shop("v2"), "trivet.toml": 'app = "shop"\n'})
    sandboxed.ok("deploy")
    assert fetch(sandboxed.url)[1].startswith("v2")
    before = sandboxed.pids()
    _inherit(repository)
    done = sandboxed.run("deploy")
    assert (done.status, done.out, done.err[-len(REFUSED) :]) == (40, "", REFUSED), done.err
    assert fetch(sandboxed.url)[1].startswith("v2")
    assert sandboxed.pids() == before


def test_the_doctor_says_so(sandboxed: Trivet) -> None:
    lines = sandboxed.run("doctor").out.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.split()[1:2] == ["sockets"])
    why = "a BPF program at a listening socket is refused (Operation not permitted)"
    assert [" ".join(line.split()) for line in lines[at : at + 2]] == [
        f'weak sockets `socket = "inherit"` does not work: {why}',
        "The front door relays, as it does by default. Linux has it since 4.6.",
    ]

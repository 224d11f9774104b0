"""Limits from trivet.toml to what people are told: enforced, or said not to be."""

import pytest

from support.apps import SETTINGS, shop
from support.command import Trivet, eventually
from support.grounds import BOTH, NONE, supervised
from support.repository import Repository
from trivet.model.home import Home

LIMITS = (
    '\n[processes.worker.limits]\nmemory = "64MB"\ncpu = 0.5\nfiles = 100\n\n[processes.web.limits]\nprocesses = 50\n'
)
NOT_LIMITED = "not limited: this machine has no control groups for that (trivet doctor)"
WAITS = "import os, time\nwhile not os.path.exists(os.environ['TRIVET_STORAGE'] + '/go'): time.sleep(0.01)\n"
GREEDY = "print('taking', flush=True)\nkept = bytearray(300_000_000)\nprint('took it all', flush=True)\n"


def test_a_deploy_says_which_of_its_limits_this_machine_does_not_enforce(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(shop(settings=SETTINGS + LIMITS))
    with supervised(Home(trivet.home), NONE):
        done = trivet.ok("deploy")
        assert f"processes of web is {NOT_LIMITED}\n" in done.err
        assert f"memory and cpu of worker are {NOT_LIMITED}\n" in done.err
        doctor = trivet.run("doctor").out
    expected = (
        "weak  limits       a process ends with its group and with what it left to the supervisor; enforced are files\n"
    )
    assert expected in doctor


def test_a_process_that_ran_out_of_memory_is_told_as_that_wherever_it_is_shown(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit({**shop(settings=SETTINGS + LIMITS), "worker.py": WAITS + GREEDY})
    with supervised(Home(trivet.home), BOTH) as machine:
        if "memory" not in machine.means().controllers:
            pytest.skip("this kernel lets nobody here have the memory controller")
        trivet.ok("deploy")
        trivet.ok("scale", "worker=1")
        (trivet.home / "apps/shop/deploys/production/storage/go").touch()
        eventually(lambda: "out of memory (limit 64 MB)" in trivet.ok("ps").out, what="ps telling of it")
        assert "worker.1 ran out of memory (limit 64 MB); restart 1 at once" in trivet.ok("logs").out
        assert "ran out of memory (limit 64 MB)" in trivet.ok("events").out
        (worker,) = trivet.processes(process="worker.1")
        assert worker["last_exit"] == "out of memory (limit 64 MB)"

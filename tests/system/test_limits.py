"""Limits from trivet.toml to what people are told: enforced, or said not to be."""

import pytest

from support.apps import SETTINGS, shop
from support.command import Trivet, eventually
from support.grounds import BOTH, NONE, supervised
from support.repository import Repository
from trivet.host.cgroups import find_means
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


def test_what_people_run_is_limited_as_they_say_and_told_so(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**shop(settings=SETTINGS + LIMITS), "worker.py": WAITS + GREEDY})
    trivet.ok("deploy")
    unknown = trivet.run("run", "--as", "wroker")
    assert (unknown.status, unknown.out) == (40, "")
    assert unknown.err == ("error: v1 of shop/production has no process type 'wroker'.\nhint:  It has: web, worker.\n")
    nothing = trivet.run("run")
    assert (nothing.status, nothing.out) == (2, "")
    assert nothing.err == (
        "error: Missing argument 'COMMAND...'.\nhint:  `trivet run --help` shows how, with examples.\n"
    )
    assert trivet.ok("run", "--as", "worker", "ulimit -n; ulimit -Hn").out == "100\n100\n"
    (trivet.home / "apps/shop/deploys/production/storage/go").touch()
    if "memory" not in find_means().controllers:
        pytest.skip("nobody here may have the memory controller")
    greedy = trivet.run("run", "--as", "worker")
    assert (greedy.status, greedy.out) == (137, "taking\n")
    assert greedy.err == "note     the command ran out of memory (limit 64 MB)\n"
    limits = '\n[processes.release.limits]\nmemory = "64MB"\n'
    procfile = "web: python3 server.py\nrelease: exec python3 -c 'bytearray(300_000_000)'\n"
    repository.commit(shop(procfile=procfile, settings='app = "shop"\n' + limits))
    failed = trivet.run("deploy")
    assert failed.status == 40
    assert failed.err.endswith(
        "error: The release command of v2 ran out of memory (limit 64 MB) and ended with exit status 137: "
        "exec python3 -c 'bytearray(300_000_000)'\n"
        "hint:  v1 still serves, untouched; what the command itself has done stays done. If it needs more, say so: "
        "[processes.release.limits] memory in trivet.toml; `trivet releases output v2` has all that it wrote.\n"
    )

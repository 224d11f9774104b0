"""Scale, restart, stop, start: another formation, the same release."""

import re

import pytest

from run.shop import WEB, Shop, free_port, wait_until
from trivet.errors import NothingReleased, RollOutFailed, RunError, UnknownProcess
from trivet.model.process import ProcessType


def test_without_a_choice_one_web_process_runs_and_nothing_else(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    assert set(shop.pids()) == {"v1.web.1"}
    assert shop.machine.formation(shop.deploy).counts == {}


def test_scaling_starts_and_ends_processes_and_leaves_the_others_alone(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    first = shop.pids()["v1.web.1"]
    assert shop.machine.scale(shop.deploy, {"web": 2, "worker": 2}).counts == {"web": 2, "worker": 2}
    assert set(shop.pids()) == {"v1.web.1", "v1.web.2", "v1.worker.1", "v1.worker.2"}
    assert len({shop.fetch().split()[1] for _ in range(6)}) == 2
    shop.machine.scale(shop.deploy, {"web": 1, "worker": 0})
    wait_until(lambda: shop.pids() == {"v1.web.1": first})
    assert {shop.fetch().split()[1] for _ in range(6)} == {str(first)}


def test_the_formation_outlives_roll_outs(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"web": 2, "worker": 1})
    shop.ok(2)
    wait_until(lambda: set(shop.pids()) == {"v2.web.1", "v2.web.2", "v2.worker.1"})


def test_scaling_web_to_nothing_and_back_keeps_the_address(shop: Shop) -> None:
    shop.shop(1)
    address = shop.ok(1).address
    shop.machine.scale(shop.deploy, {"web": 0})
    assert shop.get() == (503, "No web process of this app is running.\n")
    shop.machine.scale(shop.deploy, {"web": 1})
    assert shop.machine.address(shop.deploy) == address
    assert shop.fetch().startswith("v1 ")


def test_processes_that_do_not_come_up_are_not_scaled_to(shop: Shop) -> None:
    code = "import os, sys\nif os.environ['TRIVET_PROCESS'] == 'web.2': sys.exit('no more licences')\n"
    shop.web(1, code + WEB)
    shop.ok(1)
    before = shop.pids()
    with pytest.raises(RollOutFailed) as raised:
        shop.machine.scale(shop.deploy, {"web": 2})
    assert re.fullmatch(
        r"The new processes of shop/production did not come up: web\.2 exited with 1 after \d+\.\d s\.",
        raised.value.message,
    )
    assert raised.value.hint == (
        "What ran before still runs, untouched. `trivet logs` shows more; mend the cause and try again."
    )
    assert raised.value.detail == ("no more licences",)
    assert shop.pids() == before
    assert shop.machine.formation(shop.deploy).counts == {}
    assert shop.fetch().startswith("v1 ")


def test_a_type_that_the_release_does_not_have_cannot_be_scaled(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    with pytest.raises(UnknownProcess) as raised:
        shop.machine.scale(shop.deploy, {"wroker": 1})
    assert raised.value.message == "There is no process type 'wroker' to scale."
    assert raised.value.hint == ("The release has: web, worker. The release command is never part of a formation.")


def test_nothing_can_be_scaled_restarted_or_started_before_the_first_release(shop: Shop) -> None:
    for verb in (
        lambda: shop.machine.scale(shop.deploy, {"web": 2}),
        lambda: shop.machine.restart(shop.deploy, None),
        lambda: shop.machine.start(shop.deploy),
        lambda: shop.machine.stop(shop.deploy),
    ):
        with pytest.raises(NothingReleased) as raised:
            verb()
        assert raised.value.message == "shop/production has no release to run."
        assert raised.value.hint == "Deploy first: trivet deploy"


def test_a_restart_replaces_every_process_and_loses_no_request(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    for _ in range(2):
        shop.machine.restart(shop.deploy, None)
        assert shop.fetch().startswith("v1 ")
    wait_until(lambda: len(shop.processes()) == 2)
    after = shop.pids()
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert shop.machine.ended(shop.deploy, 1) is not None


@pytest.mark.parametrize("chosen", ["worker", "worker.1"])
def test_a_restart_of_some_leaves_the_others_alone(shop: Shop, chosen: str) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    shop.machine.restart(shop.deploy, chosen)
    wait_until(lambda: len(shop.processes()) == 2)
    assert shop.pids()["v1.web.1"] == before["v1.web.1"]
    assert shop.pids()["v1.worker.1"] != before["v1.worker.1"]


def test_a_restart_survives_the_supervisor(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.restart(shop.deploy, None)
    wait_until(lambda: len(shop.processes()) == 1)
    before = shop.pids()
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.pids() == before


def test_a_restart_of_what_does_not_run_is_refused(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    with pytest.raises(UnknownProcess) as raised:
        shop.machine.restart(shop.deploy, "worker.1")
    assert raised.value.message == "No process 'worker.1' runs in shop/production."
    assert raised.value.hint == "These do: web.1."


def test_a_restart_that_fails_leaves_the_old_processes(shop: Shop) -> None:
    code = "import os, sys\nif os.path.exists(os.environ['TRIVET_STORAGE'] + '/broken'): sys.exit(5)\n"
    shop.web(1, code + WEB)
    shop.ok(1)
    before = shop.pids()
    (shop.home.storage(shop.deploy) / "broken").touch()
    with pytest.raises(RollOutFailed, match=r"web\.1 exited with 5"):
        shop.machine.restart(shop.deploy, None)
    assert shop.pids() == before
    assert shop.fetch().startswith("v1 ")


def test_a_stopped_deploy_runs_nothing_and_says_so_until_it_is_started(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    shop.machine.stop(shop.deploy)
    assert shop.processes() == ()
    assert shop.get() == (503, "No web process of this app is running.\n")
    with pytest.raises(RunError) as raised:
        shop.machine.restart(shop.deploy, None)
    assert (raised.value.message, raised.value.hint) == ("shop/production is stopped.", "Start it: trivet start")
    shop.machine.start(shop.deploy)
    assert shop.fetch().startswith("v1 ")
    assert set(shop.pids()) == {"v1.web.1", "v1.worker.1"}


def test_a_roll_out_of_a_stopped_deploy_starts_nothing_but_is_what_start_starts(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    shop.ok(1)
    shop.machine.stop(shop.deploy)
    shop.ok(2)
    assert shop.processes() == ()
    assert shop.machine.current(shop.deploy) == 2
    shop.machine.start(shop.deploy)
    assert shop.fetch().startswith("v2 ")


def test_down_ends_everything_and_up_brings_it_back(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1, free_port())
    shop.machine.scale(shop.deploy, {"worker": 1})
    address = shop.machine.address(shop.deploy)
    wait_until(lambda: "working" in shop.log("v1.worker.1"))
    shop.machine.down()
    assert not shop.machine.is_up()
    assert shop.processes() == ()
    assert shop.log("v1.worker.1").endswith("bye\n")
    shop.machine.down()
    shop.machine.up()
    assert set(shop.pids()) == {"v1.web.1", "v1.worker.1"}
    assert shop.machine.address(shop.deploy) == address
    assert shop.fetch().startswith("v1 ")


def test_down_ends_what_a_killed_supervisor_has_left_running(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.kill_supervisor()
    assert set(shop.pids()) == {"v1.web.1"}
    shop.machine.down()
    assert shop.processes() == ()


def test_a_hundred_processes_are_started_and_ended(shop: Shop) -> None:
    shop.release(1, {}, (ProcessType("worker", "sleep 600", settle_s=0.1),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 100})
    assert len({each.pid for each in shop.processes()}) == 100
    shop.machine.scale(shop.deploy, {"worker": 0})
    wait_until(lambda: shop.processes() == ())

"""What runs is kept running: crashes, a killed supervisor, a reboot."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from run.shop import PYTHON, WEB, WORKER, Shop, free_port, kill, wait_until
from trivet.host import processes
from trivet.model.process import ProcessType
from trivet.model.run import ProcessState, ProcessStatus


def _working(shop: Shop, code: str = WORKER, count: int = 1) -> None:
    shop.worker(1, code)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": count})


def test_a_process_that_crashes_is_started_again_at_once_on_its_port(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    (before,) = shop.processes("web.1")
    kill(before.pid or 0)
    wait_until(lambda: shop.processes("web.1")[0].pid not in (None, before.pid))
    assert shop.fetch().startswith("v1 ")
    (after,) = shop.processes("web.1")
    assert (after.port, after.restarts, after.last_exit) == (before.port, 1, "SIGKILL")
    assert "trivet: web.1 was ended by SIGKILL; restart 1 at once\n" in shop.log("v1.web.1")


def test_requests_that_come_while_a_process_crashes_are_answered(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    for _ in range(5):
        pid = int(shop.fetch().split()[1])
        kill(pid)
        assert shop.fetch().split()[1] != str(pid)


def test_a_process_whose_port_was_taken_by_a_stranger_gets_another(shop: Shop) -> None:
    code = "import os, time\nwhile os.path.exists(os.environ['TRIVET_STORAGE'] + '/broken'):\n    time.sleep(0.01)\n"
    shop.web(1, code + WEB)
    shop.ok(1)
    (before,) = shop.processes()
    marker = shop.home.storage(shop.deploy) / "broken"
    marker.touch()
    kill(before.pid or 0)
    wait_until(lambda: shop.processes()[0].pid not in (None, before.pid))  # it does not listen yet
    with socket.create_server(("127.0.0.1", before.port or 0)):
        marker.unlink()
        wait_until(lambda: shop.processes()[0].port != before.port)
        assert shop.fetch().startswith("v1 ")
    assert f"trivet: somebody else listens on port {before.port}; web.1 gets 2" in shop.log("v1.web.1")


def test_a_crash_loop_is_visible_and_goes_on_slower_and_slower(shop: Shop) -> None:
    code = (
        "import os, time\nmarker = os.environ['TRIVET_STORAGE'] + '/broken'\n"
        "print('unfinished', end='', flush=True)\n"
        "while not os.path.exists(marker):\n    time.sleep(0.01)\nraise SystemExit(9)"
    )
    _working(shop, code)
    marker = shop.home.storage(shop.deploy) / "broken"
    marker.touch()
    seen: list[ProcessStatus] = []

    def waits_for_its_fifth_start() -> bool:
        seen.extend(shop.processes())
        return seen[-1].restarts >= 4 and seen[-1].state is ProcessState.BACKOFF

    wait_until(waits_for_its_fifth_start)
    assert (seen[-1].pid, seen[-1].memory_bytes, seen[-1].last_exit) == (None, None, "exit 9")
    assert shop.log("v1.worker.1").splitlines()[:6] == [
        "unfinished",
        "trivet: worker.1 exited with 9; restart 1 at once",
        "unfinished",
        "trivet: worker.1 exited with 9; restart 2 in 0.1 s",
        "unfinished",
        "trivet: worker.1 exited with 9; restart 3 in 0.2 s",
    ]
    marker.unlink()
    wait_until(lambda: shop.processes()[0].state is ProcessState.RUNNING)


def test_what_a_crashed_process_leaves_of_its_group_is_ended(shop: Shop) -> None:
    code = "import os, time\nif os.fork() == 0:\n    print('child', os.getpid(), flush=True)\ntime.sleep(600)"
    _working(shop, code)
    wait_until(lambda: "child" in shop.log("v1.worker.1"))
    child = int(shop.log("v1.worker.1").split()[1])
    kill(shop.processes()[0].pid or 0)
    wait_until(lambda: processes.start_time(child) is None)


def test_each_start_has_a_fresh_temporary_folder_and_the_old_one_is_removed(shop: Shop) -> None:
    code = (
        "import os, time\nfolder = os.environ['TMPDIR']\nprint(folder, os.listdir(folder), flush=True)\n"
        "os.makedirs(folder + '/a/b'); open(folder + '/a/b/c', 'w').write('x')\ntime.sleep(600)"
    )
    _working(shop, code)
    wait_until(lambda: shop.log("v1.worker.1").count("[]") == 1)
    kill(shop.processes()[0].pid or 0)
    wait_until(lambda: shop.log("v1.worker.1").count("[]") == 2)
    first = Path(shop.log("v1.worker.1").split()[0])
    wait_until(lambda: not first.exists())
    assert len(list(shop.home.temporary.iterdir())) == 1
    shop.machine.stop(shop.deploy)
    wait_until(lambda: list(shop.home.temporary.iterdir()) == [])


def test_a_temporary_folder_with_nothing_in_it_is_as_good_as_a_fresh_one(shop: Shop) -> None:
    code = (
        "import os, stat, time\nfolder = os.environ['TMPDIR']\n"
        "print(folder, os.listdir(folder), oct(stat.S_IMODE(os.stat(folder).st_mode)), flush=True)\n"
        "os.chmod(folder, 0o777)\ntime.sleep(600)"
    )
    _working(shop, code)
    wait_until(lambda: shop.log("v1.worker.1").count("[] 0o700") == 1)
    kill(shop.processes()[0].pid or 0)
    wait_until(lambda: shop.log("v1.worker.1").count("[] 0o700") == 2)
    last = next(line.split()[0] for line in reversed(shop.log("v1.worker.1").splitlines()) if "[] 0o700" in line)
    wait_until(lambda: list(shop.home.temporary.iterdir()) == [Path(last)])
    shop.machine.stop(shop.deploy)
    wait_until(lambda: list(shop.home.temporary.iterdir()) == [])


def test_memory_is_that_of_all_that_a_process_has_started(shop: Shop) -> None:
    code = "import os, time\nif os.fork() == 0:\n    ballast = b'x' * 50_000_000\n    print('grown', flush=True)\ntime.sleep(600)"
    _working(shop, code)
    wait_until(lambda: "grown" in shop.log("v1.worker.1"))
    assert (shop.processes()[0].memory_bytes or 0) > 50_000_000


def test_apps_outlive_a_killed_supervisor_and_the_next_one_adopts_them(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"web": 2, "worker": 1})
    before, address = shop.pids(), shop.machine.address(shop.deploy)
    shop.kill_supervisor()
    assert shop.fetch().startswith("v1 ")
    assert shop.pids() == before
    shop.machine.up()
    assert shop.pids() == before
    assert shop.machine.address(shop.deploy) == address
    assert shop.fetch().startswith("v1 ")
    assert [each.restarts for each in shop.processes()] == [0, 0, 0]


def test_an_adopted_process_is_started_again_when_it_ends(shop: Shop) -> None:
    _working(shop)
    shop.kill_supervisor()
    shop.machine.up()
    pid = shop.processes()[0].pid or 0
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: shop.processes()[0].pid not in (None, pid))
    assert shop.processes()[0].restarts == 1


def test_a_process_that_died_while_nobody_watched_is_started_again(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    before = shop.pids()
    shop.kill_supervisor()
    os.kill(before["v1.worker.1"] or 0, signal.SIGKILL)
    wait_until(lambda: processes.start_time(before["v1.worker.1"] or 0) is None)
    shop.machine.up()
    after = shop.pids()
    assert after["v1.web.1"] == before["v1.web.1"]
    assert after["v1.worker.1"] not in (None, before["v1.worker.1"])


def test_an_adopted_process_ends_like_any_other(shop: Shop) -> None:
    _working(shop)
    wait_until(lambda: "working" in shop.log("v1.worker.1"))
    shop.kill_supervisor()
    shop.machine.up()
    shop.machine.stop(shop.deploy)
    assert shop.processes() == ()
    assert shop.log("v1.worker.1").endswith("bye\n")


def test_after_a_reboot_exactly_what_ran_runs_again(shop: Shop) -> None:
    """Everything is ended without the supervisor's knowing, and the status files belong to another boot."""
    shop.shop(1), shop.shop(2)
    shop.ok(1, free_port())
    shop.ok(2)
    shop.machine.scale(shop.deploy, {"web": 2, "worker": 1})
    address = shop.machine.address(shop.deploy)
    wait_until(lambda: all(name.startswith("v2.") for name in shop.pids()))
    before = shop.pids()
    _end_everything(shop)
    shop.machine.up()
    assert shop.pids().keys() == before.keys()
    assert not set(shop.pids().values()) & set(before.values())
    assert shop.machine.address(shop.deploy) == address
    assert shop.fetch().startswith("v2 ")


def test_a_number_that_was_given_to_a_stranger_after_a_reboot_is_left_alone(shop: Shop) -> None:
    _working(shop)
    pid = shop.processes()[0].pid or 0
    shop.kill_supervisor()
    (path,) = (shop.home.run(shop.deploy) / "status").glob("*.json")
    with subprocess.Popen(("sleep", "600")) as stranger:
        text = path.read_text().replace(processes.boot_id(), "another-boot")
        text = text.replace(f'"pid":{pid}', f'"pid":{stranger.pid}')
        text = text.replace(str(processes.start_time(pid)), str(processes.start_time(stranger.pid)))
        assert f'"pid":{stranger.pid},' in text
        kill(pid)
        path.write_text(text)
        shop.machine.up()
        assert shop.processes()[0].pid not in (None, pid, stranger.pid)
        assert stranger.poll() is None
        stranger.kill()


def test_a_stopped_deploy_stays_stopped_after_a_reboot_and_says_so(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1, free_port())
    shop.machine.stop(shop.deploy)
    _end_everything(shop)
    shop.machine.up()
    assert shop.processes() == ()
    assert shop.get() == (503, "No web process of this app is running.\n")


def test_a_status_file_that_cannot_be_read_is_told_and_its_process_is_found_all_the_same(shop: Shop) -> None:
    _working(shop)
    pid = shop.processes()[0].pid or 0
    shop.kill_supervisor()
    (path,) = (shop.home.run(shop.deploy) / "status").glob("*.json")
    path.write_text('{"release": "one"')
    shop.machine.up()
    (status,) = shop.processes()
    assert status.pid == pid
    told = (shop.home.supervisor / "supervisor.log").read_text()
    assert f"trivet: {path} counts as absent: " in told
    assert f"v1.worker.1 (process {pid}) had lost its file in run/status and was found without\n" in told


def test_a_release_that_cannot_be_read_any_more_runs_on(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.pids()
    shop.kill_supervisor()
    document = shop.home.release(shop.deploy, 1) / "release.json"
    kept = document.read_text()
    document.write_text("{}")
    shop.machine.up()
    assert shop.pids() == before
    assert shop.fetch().startswith("v1 ")
    document.write_text(kept)


def test_a_front_door_that_is_killed_is_started_again_with_the_same_socket(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    kill(_door_pid(shop))
    assert shop.fetch().startswith("v1 ")
    log = shop.home.supervisor / "supervisor.log"
    wait_until(lambda: "the front door ended; it is started again" in log.read_text())  # said once it serves


def test_a_front_door_that_dies_while_nobody_watches_is_started_by_the_next_supervisor(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1, free_port())
    address = shop.machine.address(shop.deploy)
    shop.kill_supervisor()
    kill(_door_pid(shop))
    shop.machine.up()
    assert shop.machine.address(shop.deploy) == address
    assert shop.fetch().startswith("v1 ")


def test_two_deploys_do_not_disturb_each_other(shop: Shop) -> None:
    other = shop.beside("blog")
    shop.shop(1), other.shop(1)
    shop.ok(1)
    other.ok(1)
    assert shop.machine.address(shop.deploy) != other.machine.address(other.deploy)
    before = shop.pids()
    other.machine.stop(other.deploy)
    other.machine.destroy(other.deploy)
    assert shop.pids() == before
    assert shop.fetch().startswith("v1 ")
    assert not other.home.run(other.deploy).exists()
    assert not other.home.storage(other.deploy).exists()


def test_a_shell_line_is_ended_as_a_group(shop: Shop) -> None:
    line = f"echo starting && {PYTHON.removeprefix('exec ')} w.py; echo after"
    shop.release(1, {"w.py": WORKER}, (ProcessType("worker", line, settle_s=0.1, grace_s=10.0),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "working" in shop.log("v1.worker.1"))
    shop.machine.stop(shop.deploy)
    assert "bye" in shop.log("v1.worker.1")


def _door_pid(shop: Shop) -> int:
    root = str(shop.home.root)
    (pid,) = (
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and f"run/door/__main__.py {root}" in processes.command_line(int(path.name))
    )
    return pid


def _end_everything(shop: Shop) -> None:
    pids = [each.pid for each in shop.processes() if each.pid is not None]
    door = _door_pid(shop) if shop.machine.address(shop.deploy) is not None else None
    shop.kill_supervisor()
    for pid in (*pids, *((door,) if door is not None else ())):
        kill(pid)
    for path in (shop.home.run(shop.deploy) / "status").glob("*.json"):
        path.write_text(path.read_text().replace(processes.boot_id(), "another-boot"))

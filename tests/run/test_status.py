"""Status files: written over what was there, at any length, also by a process that was just forked."""

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from run.shop import WORKER, Shop, kill, wait_until
from trivet.host import processes
from trivet.model.run import ProcessState
from trivet.run.supervisor.status import Announcement, Status, read_all, write

STATUS = Status(1, "web.1", 0, ProcessState.RUNNING, 20000, "a-boot", 1.0, 7, 8, "/tmp/x")


@pytest.mark.parametrize("length", [1, 500, 3000])
def test_a_status_is_all_that_its_file_says_however_long_the_one_before_was(tmp_path: Path, length: int) -> None:
    for status in (replace(STATUS, last_exit="x" * length), STATUS, replace(STATUS, last_exit="é" * length)):
        write(tmp_path, status)
        assert list(read_all(tmp_path)) == [status]
        assert [path.name for path in tmp_path.iterdir()] == ["v1.web.1.json"]


def test_a_status_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, STATUS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_a_process_announces_itself_and_nothing_is_mistaken_for_its_number(tmp_path: Path) -> None:
    status = replace(STATUS, last_exit='"pid":-1,"start_time":-1')
    Announcement(tmp_path, status).write()
    me = replace(status, pid=os.getpid(), start_time=processes.start_time(os.getpid()))
    assert list(read_all(tmp_path)) == [me]


def test_one_that_was_born_a_moment_ago_is_known_by_the_kernels_line_of_it(tmp_path: Path) -> None:
    line = Path("/proc/self/stat").read_bytes()
    me = replace(STATUS, pid=os.getpid(), start_time=processes.start_time(os.getpid()))
    unborn = replace(STATUS, pid=None, start_time=None)
    write(tmp_path, replace(STATUS, last_exit="x" * 1500))
    descriptor, place = Announcement(tmp_path, STATUS).begin()
    try:
        assert list(read_all(tmp_path)) == [unborn]
        os.pwrite(descriptor, line[:20], place)
        assert list(read_all(tmp_path)) == [unborn]  # no half of a line counts
        os.pwrite(descriptor, line.ljust(400), place)
        assert list(read_all(tmp_path)) == [me]
        write(tmp_path, STATUS)
        assert list(read_all(tmp_path)) == [STATUS]
        os.pwrite(descriptor, line.ljust(400), place)  # late
        assert list(read_all(tmp_path)) == [STATUS]
    finally:
        os.close(descriptor)


def test_a_status_too_long_for_such_a_line_is_left_to_a_fork(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="long"):
        Announcement(tmp_path, replace(STATUS, last_exit="x" * 3000)).begin()


def test_a_restart_writes_into_the_file_that_is_there(shop: Shop) -> None:
    """A new one in its place would be written out to the disk before the process could begin."""
    shop.worker(1, WORKER)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    (path,) = (shop.home.run(shop.deploy) / "status").glob("*.json")
    (before,) = shop.processes()
    number = path.stat().st_ino
    kill(before.pid or 0)
    # The process itself has written its number.
    wait_until(lambda: [(each.restarts, each.pid is None) for each in read_all(path.parent)] == [(1, False)])
    (found,) = read_all(path.parent)
    assert (found.pid, path.stat().st_ino) == (shop.processes()[0].pid, number)

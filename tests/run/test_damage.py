"""Whatever somebody has done to the files of a deploy: what runs goes on running, and the other apps know nothing of it."""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from run.shop import Shop, wait_until
from trivet.errors import InvalidDocument
from trivet.host import processes
from trivet.run import desired

GARBAGE = {
    "nothing": b"",
    "not text": b"\xff\xfe\x00\x80",
    "deep": b"[" * 200_000,
    "another type": b'["web"]',
    "huge numbers": b'{"counts": {"web": 99999999999999999999}, "host": "127.0.0.1", "port": 99999999999999999999}',
    "no finite number": b'{"since": 1e999}',
}


def _run(shop: Shop) -> Path:
    return shop.home.run(shop.deploy)


def _damaged(shop: Shop) -> tuple[Path, ...]:
    """Every document that a supervisor reads when it starts."""
    run, release = _run(shop), shop.home.release(shop.deploy, 1)
    names = ("formation.json", "door.json", "intent.json", "rollouts/v1.json")
    return (*(run / name for name in names), release / "release.json", shop.home.environment(shop.deploy, 1))


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_documents_that_cannot_be_read_end_nothing_that_runs(shop: Shop, garbage: bytes) -> None:
    other = shop.beside("blog")
    other.shop(1), shop.shop(1)
    other.ok(1), shop.ok(1)
    before = {**other.pids(), **shop.pids()}
    for path in _damaged(shop):
        shop.kill_supervisor()
        whole = path.read_bytes() if path.exists() else None
        path.write_bytes(garbage)
        shop.machine.up()
        assert {**other.pids(), **shop.pids()} == before, path
        assert other.fetch().startswith("v1 ")
        assert "Traceback" not in (shop.home.supervisor / "supervisor.log").read_text()
        path.unlink() if whole is None else path.write_bytes(whole)
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.fetch().startswith("v1 ")
    shop.machine.restart(shop.deploy, None)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_clients_are_told_in_words_what_cannot_be_read(shop: Shop, garbage: bytes) -> None:
    shop.shop(1)
    shop.ok(1)
    for path in _damaged(shop):
        whole = path.read_bytes() if path.exists() else None
        path.write_bytes(garbage)
        for ask in (shop.machine.formation, shop.machine.address, lambda deploy: shop.machine.restart(deploy, None)):
            with contextlib.suppress(InvalidDocument):
                ask(shop.deploy)
        path.unlink(missing_ok=True) if whole is None else path.write_bytes(whole)
    assert shop.fetch().startswith("v1 ")


def test_the_outcome_of_a_roll_out_whose_record_is_damaged_is_what_runs(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    for number in (1, 2):
        (_run(shop) / "rollouts" / f"v{number}.json").write_bytes(b"\xff")
    ended = [shop.machine.ended(shop.deploy, number) for number in (1, 2)]
    assert [each and (each.succeeded, each.reason) for each in ended] == [
        (True, "run/rollouts/v1.json cannot be read: it is not text (byte 0)"),
        (False, "run/rollouts/v2.json cannot be read: it is not text (byte 0)"),
    ]


@pytest.mark.parametrize(
    "target", ["../releases/v²", "../releases/v99999999999999999999", "../releases/v9", "/etc/passwd", None]
)
def test_a_link_that_names_no_release_is_mended_from_what_runs(shop: Shop, target: str | None) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.pids()
    shop.kill_supervisor()
    link = _run(shop) / "current"
    link.unlink()
    if target is not None:
        link.symlink_to(target)
    shop.machine.up()
    assert shop.pids() == before
    assert shop.fetch().startswith("v1 ")
    assert shop.machine.current(shop.deploy) == 1


def test_a_folder_in_place_of_the_link_is_put_aside(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.pids()
    shop.kill_supervisor()
    link = _run(shop) / "current"
    link.unlink()
    link.mkdir()
    (link / "note").write_text("mine")
    shop.machine.up()
    assert shop.pids() == before
    assert shop.machine.current(shop.deploy) == 1
    assert [path.read_text() for path in _run(shop).glob("current.found-*/note")] == ["mine"]


def test_a_link_that_is_broken_meanwhile_is_told_and_the_next_roll_out_writes_it_anew(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    shop.ok(1)
    link = _run(shop) / "current"
    link.unlink()
    link.mkdir()
    with pytest.raises(InvalidDocument) as raised:
        shop.machine.restart(shop.deploy, None)
    assert raised.value.message == ("run/current of shop/production does not say which release runs: it is no link.")
    assert raised.value.hint == "Somebody has changed it by hand. Deploy again, or roll back: both write it anew."
    shop.ok(2)
    assert shop.fetch().startswith("v2 ")
    assert shop.machine.current(shop.deploy) == 2
    wait_until(lambda: set(shop.pids()) == {"v2.web.1"})


def test_nothing_is_started_of_a_release_that_nothing_names(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.down()
    desired.write_current(shop.home, shop.deploy, 9)
    shop.machine.up()
    assert shop.pids() == {}
    missing = shop.home.release(shop.deploy, 9) / "release.json"
    assert shop.machine.troubles() == {
        shop.deploy: "what still runs of it runs on, and nothing is started: "
        f"shop/production has no release v9 on this machine: {missing} is missing."
    }
    shop.ok(1)
    assert shop.machine.troubles() == {}
    assert shop.fetch().startswith("v1 ")


STATUS_FILES: Mapping[str, Callable[[bytes], bytes | None]] = {
    "nothing": lambda whole: b"",
    "cut short": lambda whole: whole.rstrip()[:-20],
    "zeros": lambda whole: bytes(len(whole)),
    "not text": lambda whole: b"\xff",
    "another type": lambda whole: b"{}",
    "a list": lambda whole: b"[" + whole + b"]",
    "text for a number": lambda whole: re.sub(rb'"pid":([0-9]+)', rb'"pid":"\1"', whole),
    "another's number": lambda whole: re.sub(rb'"pid":[0-9]+', b'"pid":%d' % os.getpid(), whole),
    "another's name": lambda whole: whole.replace(b'"web.1"', b'"worker.7"'),
    "another boot's": lambda whole: whole.replace(processes.boot_id().encode(), b"another-boot"),
    "no file": lambda whole: None,
}


@pytest.mark.parametrize("damage", STATUS_FILES.values(), ids=STATUS_FILES.keys())
def test_a_process_whose_status_file_is_damaged_is_found_again_all_the_same(
    shop: Shop, damage: Callable[[bytes], bytes | None]
) -> None:
    shop.shop(1)
    shop.ok(1)
    before = shop.pids()
    shop.kill_supervisor()
    file = _run(shop) / "status" / "v1.web.1.json"
    content = damage(file.read_bytes())
    assert content != file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    shop.machine.up()
    assert shop.pids() == before
    assert shop.fetch() == f"v1 {before['v1.web.1']}"
    assert file.stat().st_size > 10
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.pids() == before
    shop.machine.down()
    assert processes.start_time(before["v1.web.1"] or 0) is None


def test_a_process_without_a_file_that_nobody_wants_is_ended(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "working" in shop.log("v1.worker.1"))
    before = shop.pids()
    shop.kill_supervisor()
    for path in (_run(shop) / "status").glob("*.json"):
        path.unlink()
    desired.write_current(shop.home, shop.deploy, 2)
    shop.machine.up()
    wait_until(lambda: all(processes.start_time(pid or 0) is None for pid in before.values()))
    wait_until(lambda: set(shop.pids()) == {"v2.web.1", "v2.worker.1"})
    assert "bye" in shop.log("v1.worker.1")
    wait_until(lambda: shop.get()[1].startswith("v2 "))


def test_what_a_process_left_behind_is_ended_when_it_ended_while_no_supervisor_ran(shop: Shop) -> None:
    code = "import os, time\nos.write(1, b'%d\\n' % os.fork())\ntime.sleep(600)"
    shop.worker(1, code)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: shop.log("v1.worker.1").count("\n") == 2)
    left = max(int(line) for line in shop.log("v1.worker.1").splitlines())
    shop.kill_supervisor()
    shop.end(shop.pids()["v1.worker.1"])
    assert processes.start_time(left) is not None
    shop.machine.down()
    assert processes.start_time(left) is None


def test_a_status_file_that_names_a_strange_folder_removes_nothing_of_it(shop: Shop, tmp_path: Path) -> None:
    shop.shop(1)
    shop.ok(1)
    precious = tmp_path / "precious"
    precious.mkdir()
    shop.kill_supervisor()
    file = _run(shop) / "status" / "v1.web.1.json"
    file.write_text(re.sub(r'"temporary": "[^"]*"', f'"temporary": "{precious}"', file.read_text()))
    shop.machine.up()
    shop.machine.down()
    assert precious.is_dir()

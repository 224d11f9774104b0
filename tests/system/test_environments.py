"""The environment of what runs lies in memory, for its owner alone; a reboot takes it away, and `up` brings it back."""

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apps import DIES, shop
from support.command import Trivet, eventually, fetch
from support.repository import Repository

GREETING = "sings-like-a-canary"


class Memory:
    """A memory file system of the test's own, which it can lose, as a reboot or the end of a session loses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> None:
        """It is there, and empty."""
        self.folder.mkdir(exist_ok=True)
        argv = ("mount", "-t", "tmpfs", "-o", "mode=0700,size=1m", "trivet-test", self.folder)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no memory file system can be mounted here: {done.stderr}")

    def unmount(self) -> None:
        """It is gone, with all that was in it."""
        subprocess.run(("umount", "-l", self.folder), capture_output=True, check=True)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a memory file system; CI runs as root")
    made = Memory(tmp_path / "memory")
    made.mount()
    yield made
    made.unmount()


@pytest.fixture
def machine(tmp_path: Path, repository: Repository, memory: Memory) -> Iterator[Trivet]:
    """`trivet` on a machine with a memory file system, a shop deployed with a secret."""
    if _is_in_memory(Path("/run")):
        pytest.skip("root's memory file system is /run here, which no test may lose")
    trivet = Trivet(tmp_path / "home", repository.path, {"XDG_RUNTIME_DIR": str(memory.folder)})
    repository.commit(shop("v1"))
    trivet.ok("config", "set", "GREETING=-", input=GREETING)
    trivet.ok("deploy")
    yield trivet
    trivet.run("down")


def _is_in_memory(folder: Path) -> bool:
    asked = subprocess.run(("stat", "-f", "-c", "%T", folder), capture_output=True, text=True, check=True)
    return asked.stdout.strip() in ("tmpfs", "ramfs")


def _environments(trivet: Trivet) -> list[str]:
    return sorted(path.name for path in (trivet.home / "env" / "shop" / "production").iterdir())


def _greeting(trivet: Trivet) -> str:
    return fetch(trivet.url)[1].split()[1]


def test_the_environment_is_its_owners_alone_and_never_on_the_disk(machine: Trivet, memory: Memory) -> None:
    link = machine.home / "env"
    folder = link.readlink()
    assert folder.parent == memory.folder / "trivet"
    modes = {path.relative_to(folder).as_posix(): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")}
    assert modes == {"shop": "0o700", "shop/production": "0o700", "shop/production/v1.json": "0o600"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {os.geteuid()}
    files = (path for path in machine.home.rglob("*") if path.is_file() and not path.is_relative_to(link))
    assert [path for path in files if GREETING.encode() in path.read_bytes()] == []
    assert f"in memory: {folder}" in machine.run("doctor").out


def test_an_app_can_write_neither_the_environment_nor_the_way_to_it(machine: Trivet) -> None:
    for command in (
        "echo {} > {home}/env/shop/production/v1.json",
        "rm {home}/env/shop/production/v1.json",
        "touch {home}/env/shop/production/v2.json",
        "ln -sfn /tmp {home}/env",
        "mv {home}/env {home}/elsewhere",
    ):
        done = machine.run("run", command.format("{}", home=machine.home))
        assert done.status != 0
        assert "denied" in done.err
    assert _environments(machine) == ["v1.json"]


def test_after_a_reboot_up_brings_the_environment_back(machine: Trivet, memory: Memory) -> None:
    machine.ok("down")
    memory.unmount()
    memory.mount()
    assert not (machine.home / "env").exists()
    assert machine.ok("up").out == "up: shop/production (1)\n"
    assert _greeting(machine) == GREETING
    assert _environments(machine) == ["v1.json"]


def test_after_a_reboot_in_the_watch_the_release_before_runs_with_its_environment(
    machine: Trivet, memory: Memory
) -> None:
    machine.environment["TRIVET_WARM"] = "600"
    intent = machine.home / "apps" / "shop" / "deploys" / "production" / "run" / "intent.json"
    with machine.start("config", "set", "GREETING=new") as command:
        eventually(lambda: intent.exists() and '"watching"' in intent.read_text(), what="the watch")
        running = [process["pid"] for process in machine.processes()]
        # First the command, which would start another supervisor at once.
        for pid in (command.pid, machine.supervisor_pid, machine.door_pid, *running):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not machine.run("ps", "--json").json(), what="the end of all")
    memory.unmount()
    memory.mount()
    assert machine.ok("up").out == "up: shop/production (1)\n"
    assert _greeting(machine) == GREETING
    machine.environment["TRIVET_WARM"] = "0"
    told = (
        "left v2 without an outcome; it failed: interrupted: when the supervisor came back, its processes no longer ran"
    )
    assert told in machine.ok("config", "set", "A=1").err


def test_what_runs_goes_on_without_the_memory_and_every_command_mends_it(machine: Trivet, memory: Memory) -> None:
    before = machine.pids()
    memory.unmount()
    os.kill(before["web.1"], signal.SIGKILL)
    eventually(lambda: machine.pids().get("web.1", before["web.1"]) != before["web.1"], what="a restart")
    eventually(lambda: fetch(machine.url)[0] == 200)
    assert _greeting(machine) == GREETING
    for command in (("restart",), ("scale", "worker=2"), ("run", "true"), ("config", "set", "A=1"), ("up",)):
        memory.mount()
        machine.ok(*command)
        assert len(_environments(machine)) == 1
        memory.unmount()
    memory.mount()


def test_only_what_runs_has_an_environment_and_a_one_off_while_it_lasts(
    machine: Trivet, repository: Repository
) -> None:
    machine.ok("config", "set", "GREETING=other")
    repository.commit(shop("v3", web=DIES))
    assert machine.run("deploy").status == 40
    assert _environments(machine) == ["v2.json"]
    line = "printenv GREETING; read line"
    with machine.start("run", "--release", "v1", line, stdin=subprocess.PIPE) as one_off:
        assert one_off.stdout is not None
        assert one_off.stdout.readline() == f"{GREETING}\n"
        assert _environments(machine) == ["v1.json", "v2.json"]
        one_off.communicate("\n", timeout=60)
    assert _environments(machine) == ["v2.json"]


def test_the_environment_of_a_one_off_stays_while_another_command_clears_away(machine: Trivet) -> None:
    machine.ok("config", "set", "GREETING=other")
    with machine.start("run", "--release", "v1", "echo begun; read line; echo $line", stdin=subprocess.PIPE) as one_off:
        assert one_off.stdout is not None
        assert one_off.stdout.readline() == "begun\n"
        machine.ok("config", "set", "A=1")
        assert _environments(machine) == ["v1.json", "v3.json"]
        out, _ = one_off.communicate("ended\n", timeout=60)
        assert out == "ended\n"
    assert _environments(machine) == ["v3.json"]


def test_what_lay_on_the_disk_moves_into_memory_once_there_is_one(
    tmp_path: Path, trivet: Trivet, repository: Repository, memory: Memory
) -> None:
    repository.commit(shop("v1"))
    trivet.ok("config", "set", "GREETING=-", input=GREETING)
    trivet.ok("deploy")
    assert not (trivet.home / "env").is_symlink()
    assert f"weak  environments on the disk, in plain: {trivet.home}/env" in trivet.run("doctor").out
    trivet.environment["XDG_RUNTIME_DIR"] = str(memory.folder)
    trivet.ok("config", "set", "A=1")
    assert (trivet.home / "env").readlink().parent == memory.folder / "trivet"
    assert _environments(trivet) == ["v2.json"]
    assert _greeting(trivet) == GREETING


def test_a_copy_of_a_home_has_a_place_of_its_own(machine: Trivet, tmp_path: Path) -> None:
    machine.ok("down")
    subprocess.run(("cp", "-a", machine.home, tmp_path / "copy"), check=True)
    copy = Trivet(tmp_path / "copy", machine.folder, {"XDG_RUNTIME_DIR": machine.environment["XDG_RUNTIME_DIR"]})
    try:
        copy.ok("config", "set", "GREETING=of-the-copy")
    finally:
        copy.run("down")
    assert _environments(machine) == ["v1.json"]
    assert (copy.home / "env").readlink() != (machine.home / "env").readlink()


def test_destroying_an_app_leaves_neither_what_is_sealed_nor_an_environment(machine: Trivet, memory: Memory) -> None:
    sealed = (machine.home / "apps/shop/deploys/production/releases/v1/env.age").read_bytes()
    middle = sealed.splitlines()[2]
    machine.ok("apps", "destroy", "shop", "--confirm", "shop")
    files = [path for folder in (machine.home, memory.folder) for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if GREETING.encode() in path.read_bytes() or middle in path.read_bytes()] == []
    assert [path.name for path in memory.folder.rglob("*.json")] == []


def test_without_the_key_what_runs_goes_on_and_up_says_what_cannot_be_started(machine: Trivet, memory: Memory) -> None:
    key = machine.home / "keys" / "config.key"
    key.rename(machine.home.parent / "config.key")
    machine.ok("restart")
    assert _greeting(machine) == GREETING
    machine.ok("down")
    memory.unmount()
    memory.mount()
    done = machine.run("up")
    assert done.status == 30
    assert done.out == "up: nothing to run yet\n"
    assert done.err.endswith(
        "error: shop/production cannot be started. The key that opens the config is not there: "
        f"{key} is missing, and there is no credential.\n"
        "hint:  Put it back from where you keep a copy; docs/how-to/protect-config.md says where it may lie. "
        "What runs goes on. If there is no copy, the values are lost: once every app that has config is destroyed, "
        "the next `trivet config set` makes a new key.\n"
    )
    assert (
        f"bad   config key   The key that opens the config is not there: {key} is missing" in machine.run("doctor").out
    )
    (machine.home.parent / "config.key").rename(key)
    assert machine.ok("up").out == "up: shop/production (1)\n"
    assert _greeting(machine) == GREETING


def test_a_change_to_the_environment_itself_is_found(machine: Trivet) -> None:
    path = machine.home / "env" / "shop" / "production" / "v1.json"
    path.write_text(path.read_text().replace(GREETING, "other"))
    done = machine.run("releases", "verify")
    assert done.status == 30
    assert f"its environment, {path}, was changed" in done.out + done.err

"""Supervisors, each keeping a number of `sleep`s alive, started anew: Trivet and its peers, in one shape."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from shop import Shop, make_shop

SLEEP = "sleep 100000"
Keeper = Callable[[int], AbstractContextManager[int]]


def install(folder: Path) -> Path:
    """Where the Python peers' programs are: in an environment of their own."""
    programs = folder / "tools" / "bin"
    subprocess.run((sys.executable, "-m", "venv", folder / "tools"), check=True)
    packages = ("supervisor", "circus", "honcho", "setuptools<81")
    subprocess.run((programs / "pip", "install", "--quiet", *packages), check=True, capture_output=True)
    return programs


def keepers(tools: Path, folder: Path) -> dict[str, Keeper]:
    """Those that are here. Each is given a number, and yields its process while that many are meant to run."""
    found: dict[str, Keeper] = {
        "trivet": lambda count: _trivet(folder, count),
        "supervisord": lambda count: _supervisord(tools, folder, count),
        "circus": lambda count: _circus(tools, folder, count),
        "honcho": lambda count: _honcho(tools, folder, count),
    }
    if shutil.which("runsvdir"):
        found["runit"] = lambda count: _scanned(folder, count, "runsvdir", signal.SIGHUP)
    if shutil.which("s6-svscan"):
        found["s6"] = lambda count: _scanned(folder, count, "s6-svscan", signal.SIGTERM)
    return found


@contextmanager
def shop_of(folder: Path, count: int) -> Iterator[Shop]:
    """A deploy of Trivet's with that many processes, which run."""
    shop = make_shop(folder)
    shop.commit(
        {"Procfile": f"worker: {SLEEP}\n", "trivet.toml": 'app = "shop"\n[processes.worker]\nsettle = 0.1\nwarm = 0\n'}
    )
    try:
        shop.trivet("deploy")
        shop.trivet("scale", f"worker={count}")
        yield shop
    finally:
        shop.trivet("down")


def supervisor_of(home: Path) -> int:
    """The process that is Trivet's supervisor of the home. Raises: LookupError."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (folder / "cmdline").read_bytes().split(b"\0")
            if str(home).encode() in argv and any(part.endswith(b"run/__main__.py") for part in argv):
                return int(folder.name)
    raise LookupError(f"no supervisor runs for {home}")


@contextmanager
def _trivet(folder: Path, count: int) -> Iterator[int]:
    own = _new(folder)
    with shop_of(own, count):
        yield supervisor_of(own / "home")


@contextmanager
def _supervisord(tools: Path, folder: Path, count: int) -> Iterator[int]:
    config = _new(folder) / "supervisord.conf"
    user = "user=root\n" if os.geteuid() == 0 else ""
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={config.parent}/pid\n{user}"
        f"[program:worker]\ncommand={SLEEP}\nnumprocs={count}\nprocess_name=%(process_num)d\nautorestart=true\n"
        "stdout_logfile=/dev/null\nstdout_logfile_maxbytes=0\nstderr_logfile=/dev/null\nstderr_logfile_maxbytes=0\n"
    )
    with _running((str(tools / "supervisord"), "-c", str(config)), config.parent) as pid:
        yield pid


@contextmanager
def _circus(tools: Path, folder: Path, count: int) -> Iterator[int]:
    config = _new(folder) / "circus.ini"
    ends = "".join(f"{name} = ipc://{config.parent}/{name}\n" for name in ("endpoint", "pubsub_endpoint"))
    config.write_text(
        f"[circus]\n{ends}statsd = false\n[watcher:worker]\ncmd = {SLEEP}\nnumprocesses = {count}\nwarmup_delay = 0\n"
    )
    with _running((str(tools / "circusd"), str(config)), config.parent) as pid:
        yield pid


@contextmanager
def _honcho(tools: Path, folder: Path, count: int) -> Iterator[int]:
    own = _new(folder)
    (own / "Procfile").write_text(f"worker: exec {SLEEP}\n")
    with _running((str(tools / "honcho"), "start", "-c", f"worker={count}"), own) as pid:
        yield pid


@contextmanager
def _scanned(folder: Path, count: int, program: str, end: signal.Signals) -> Iterator[int]:
    """runit's and s6's way: a folder for each process, and in it a script."""
    own = _new(folder)
    for number in range(count):
        script = own / f"worker{number}" / "run"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\nexec {SLEEP}\n")
        script.chmod(0o755)
    argv = (program, "-c", str(count + 5), str(own)) if program == "s6-svscan" else (program, str(own))
    with _running(argv, own, end) as pid:
        yield pid


@contextmanager
def _running(argv: tuple[str, ...], folder: Path, end: signal.Signals = signal.SIGTERM) -> Iterator[int]:
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        below = descendants(process.pid)[1:]
        process.send_signal(end)
        process.wait(120)
        until = time.monotonic() + 20  # runsv ends after runsvdir
        while any(name_of(pid) for pid in below) and time.monotonic() < until:
            time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    found = [pid]
    for parent in found:
        found.extend(children(parent))
    return found


def children(pid: int) -> list[int]:
    """None, if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def sleepers(pid: int) -> set[int]:
    """Those of its descendants that run the program."""
    return {child for child in descendants(pid) if name_of(child) == "sleep"}


def name_of(pid: int) -> str:
    """What it runs; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident_kb(pid: int) -> int:
    """Its resident memory; none if it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def wait(check: Callable[[], bool]) -> None:
    """What is checked is so. Raises: TimeoutError, after five minutes."""
    spin(check, every_s=0.1, within_s=300.0)


def spin(check: Callable[[], bool], *, every_s: float = 0.0002, within_s: float = 60.0) -> None:
    """What is checked is so, and is noticed soon: a core that only looks would be missing to the one that is looked at.

    Raises: TimeoutError.
    """
    until = time.monotonic() + within_s
    while not check():
        if time.monotonic() > until:
            raise TimeoutError("the processes did not start")
        time.sleep(every_s)


def _new(folder: Path) -> Path:
    made = folder / os.urandom(4).hex()
    made.mkdir()
    return made

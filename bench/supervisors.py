"""Restart after a crash, and memory with 1 and 100 processes: Trivet beside supervisord and honcho, in the same run.

    .venv/bin/python bench/supervisors.py

Installs supervisord and honcho from PyPI into a temporary environment. Every process supervised is `sleep`. A restart is
timed from SIGKILL until the supervisor has another child that runs `sleep`; each kill hits another process, two seconds after
the one before, so that nobody's back-off counts. honcho never restarts: when one process ends it ends the others.

Goals: restart under 5 ms median; memory under 15 MB with 1 and with 100 processes.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shop import Shop, make_shop

KILLS = 11
PAUSE_S = 2.0
COUNTS = (1, 100)


def main() -> None:
    """Prints both tables."""
    with tempfile.TemporaryDirectory() as folder:
        tools = _install(Path(folder))
        candidates: dict[str, Callable[[int], object]] = {
            "trivet": lambda count: _trivet(Path(folder), count),
            "supervisord": lambda count: _supervisord(tools, Path(folder), count),
            "honcho": lambda count: _honcho(tools, Path(folder), count),
        }
        print(f"{'':<14} " + " ".join(f"{f'{count} processes':>16}" for count in COUNTS) + "   resident memory, MB")
        for name, start in candidates.items():
            print(f"{name:<14} " + " ".join(f"{_memory(start, count):16.1f}" for count in COUNTS))
        print(f"\n{'':<14} {'median':>9} {'least':>9} {'most':>9}   death to restart, ms, {KILLS} kills")
        for name in ("trivet", "supervisord"):
            taken = _restarts(candidates[name])
            print(f"{name:<14} {statistics.median(taken):9.2f} {min(taken):9.2f} {max(taken):9.2f}")
        print(f"{'honcho':<14} never restarts")


def _install(folder: Path) -> Path:
    subprocess.run((sys.executable, "-m", "venv", folder / "tools"), check=True)
    pip = folder / "tools" / "bin" / "pip"
    subprocess.run(
        (pip, "install", "--quiet", "supervisor", "honcho", "setuptools<81"), check=True, capture_output=True
    )
    return folder / "tools" / "bin"


def _memory(start: Callable[[int], object], count: int) -> float:
    with start(count) as pid:  # type: ignore[attr-defined]
        _wait(lambda: len(_sleepers(pid)) == count)
        time.sleep(0.5)
        own = [process for process in _descendants(pid) if _name(process) != "sleep"]
        return sum(_resident_kb(process) for process in own) / 1000


def _restarts(start: Callable[[int], object]) -> list[float]:
    with start(KILLS) as pid:  # type: ignore[attr-defined]
        _wait(lambda: len(_sleepers(pid)) == KILLS)
        taken = []
        for victim in sorted(_sleepers(pid)):
            time.sleep(PAUSE_S)
            known = set(_children(pid))
            started = time.perf_counter()
            os.kill(victim, signal.SIGKILL)
            _spin(lambda known=known: any(_name(new) == "sleep" for new in set(_children(pid)) - known))  # type: ignore[misc]
            taken.append((time.perf_counter() - started) * 1000)
        return taken


@contextmanager
def _trivet(folder: Path, count: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        shop: Shop = make_shop(Path(own))
        shop.commit(
            {"Procfile": "worker: sleep 100000\n", "trivet.toml": 'app = "shop"\n[processes.worker]\nsettle = 0.1\n'}
        )
        try:
            shop.trivet("deploy")
            shop.trivet("scale", f"worker={count}")
            yield _supervisor_of(Path(own) / "home")
        finally:
            shop.trivet("down")


def _supervisor_of(home: Path) -> int:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (folder / "cmdline").read_bytes().split(b"\0")
            if str(home).encode() in argv and any(part.endswith(b"run/__main__.py") for part in argv):
                return int(folder.name)
    raise LookupError(f"no supervisor runs for {home}")


@contextmanager
def _supervisord(tools: Path, folder: Path, count: int) -> Iterator[int]:
    config = folder / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/supervisord.pid\nuser=root\n"
        f"[program:worker]\ncommand=sleep 100000\nnumprocs={count}\nprocess_name=%(process_num)d\nautorestart=true\n"
        "stdout_logfile=/dev/null\nstdout_logfile_maxbytes=0\nstderr_logfile=/dev/null\nstderr_logfile_maxbytes=0\n"
    )
    if os.geteuid() != 0:
        config.write_text(config.read_text().replace("user=root\n", ""))
    with _running((str(tools / "supervisord"), "-c", str(config)), folder) as pid:
        yield pid


@contextmanager
def _honcho(tools: Path, folder: Path, count: int) -> Iterator[int]:
    (folder / "Procfile").write_text("worker: exec sleep 100000\n")
    with _running((str(tools / "honcho"), "start", "-c", f"worker={count}"), folder) as pid:
        yield pid


@contextmanager
def _running(argv: tuple[str, ...], folder: Path) -> Iterator[int]:
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _sleepers(pid: int) -> set[int]:
    return {child for child in _descendants(pid) if _name(child) == "sleep"}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _wait(check: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not check():
        if time.monotonic() > until:
            raise TimeoutError("the processes did not start")
        time.sleep(0.05)


def _spin(check: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not check():
        if time.monotonic() > until:
            raise TimeoutError("the process was not restarted")
        time.sleep(0.0002)  # a core that only looks would be missing to the one that is looked at


if __name__ == "__main__":
    main()

"""A child writes 500 MB of 100-byte lines: straight to a file, under Trivet, supervisord, circus, honcho, in the same run.

    .venv/bin/python bench/logs.py [MEGABYTES [buffered|lines]]

Installs supervisord, circus and honcho from PyPI into a temporary environment. The child is one Python program. It writes a
line at a time (every line a system call), or through a buffer of 8 kB, as programs do whose output is no terminal, and takes
the time of that itself. Trivet and circus keep 50 MB a file, supervisord ten such files, which are the defaults of Trivet and
supervisord; honcho keeps no files and writes to one. Five rounds, each with all of them; the medians. CPU is that of
whoever supervises, in all its processes but the child.

Goal: at most 1.1 times what writing straight to a file takes.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shop import Shop, make_shop

ROUNDS = 5
_TICKS_S = os.sysconf("SC_CLK_TCK")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_WITHIN_S = 600.0

CHILD = """
import json, os, sys, time
folder = os.environ.get("TRIVET_STORAGE") or os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "order.json")) as file:
    order = json.load(file)
line = b"x" * 99 + b"\\n"
write = (lambda line: os.write(1, line)) if order["manner"] == "lines" else sys.stdout.buffer.write
began = time.perf_counter()
for _ in range(order["lines"]):
    write(line)
sys.stdout.buffer.flush()
taken = time.perf_counter() - began
with open(os.path.join(folder, "taken.new"), "w") as file:
    file.write(str(taken))
os.rename(os.path.join(folder, "taken.new"), os.path.join(folder, "taken"))
time.sleep(100000)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """The seconds that the child took, and those of processor time that whoever supervised it did."""

    taken_s: float
    supervisor_s: float


Candidate = Callable[[Path, str, int], Run]


def main() -> None:
    """Prints the table."""
    lines = int(sys.argv[1] if len(sys.argv) > 1 else "500") * 10_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = _install(folder)
        with _trivet(folder) as trivet:
            candidates: dict[str, Candidate] = {
                "straight": _straight,
                "trivet": trivet,
                "supervisord": lambda own, manner, lines: _supervisord(tools, own, manner, lines),
                "circus": lambda own, manner, lines: _circus(tools, own, manner, lines),
                "honcho": lambda own, manner, lines: _honcho(tools, own, manner, lines),
            }
            for manner in sys.argv[2:] or ("buffered", "lines"):
                _print(manner, lines, _measure(folder, candidates, manner, lines))


def _measure(folder: Path, candidates: dict[str, Candidate], manner: str, lines: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in candidates}
    for turn in range(ROUNDS):
        names = list(candidates)
        for name in (*names[turn:], *names[:turn]):  # nobody comes always behind the same one
            run = candidates[name]
            with tempfile.TemporaryDirectory(dir=folder) as own:
                os.sync()  # nobody pays for what the one before has left to be written out
                runs[name].append(run(Path(own), manner, lines))
    return runs


def _print(manner: str, lines: int, runs: dict[str, list[Run]]) -> None:
    straight = statistics.median(run.taken_s for run in runs["straight"])
    print(f"{manner}, {lines} lines of 100 bytes, medians of {ROUNDS}")
    print(f"{'':<12} {'seconds':>8} {'least':>7} {'most':>7} {'times':>6} {'CPU s':>7}")
    for name, each in runs.items():
        taken = [run.taken_s for run in each]
        median, busy = statistics.median(taken), statistics.median(run.supervisor_s for run in each)
        times = median / straight
        print(f"{name:<12} {median:8.2f} {min(taken):7.2f} {max(taken):7.2f} {times:6.2f} {busy:7.2f}", flush=True)


def _install(folder: Path) -> Path:
    subprocess.run((sys.executable, "-m", "venv", folder / "tools"), check=True)
    pip = folder / "tools" / "bin" / "pip"
    packages = ("supervisor", "circus", "honcho", "setuptools<81")
    subprocess.run((pip, "install", "--quiet", *packages), check=True, capture_output=True)
    return folder / "tools" / "bin"


def _python() -> str:
    return shutil.which("python3", path=_PATH) or sys.executable


def _order(folder: Path, manner: str, lines: int) -> None:
    (folder / "order.json").write_text(json.dumps({"manner": manner, "lines": lines}))
    (folder / "taken").unlink(missing_ok=True)


def _child(own: Path, manner: str, lines: int) -> str:
    (own / "child.py").write_text(CHILD)
    _order(own, manner, lines)
    return f"{_python()} {own / 'child.py'}"


def _taken(folder: Path) -> float:
    until = time.monotonic() + _WITHIN_S
    while not (folder / "taken").exists():
        if time.monotonic() > until:
            raise TimeoutError("the child has not written its lines")
        time.sleep(0.02)
    return float((folder / "taken").read_text())


def _straight(own: Path, manner: str, lines: int) -> Run:
    argv = _child(own, manner, lines).split()
    with (own / "log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log)
    try:
        return Run(_taken(own), 0.0)
    finally:
        process.kill()
        process.wait()


@contextmanager
def _trivet(folder: Path) -> Iterator[Candidate]:
    own = folder / "shop"
    own.mkdir()
    shop: Shop = make_shop(own)
    shop.commit(
        {
            "Procfile": f"worker: {_python()} child.py\n",
            "child.py": CHILD,
            "trivet.toml": 'app = "shop"\n[processes.worker]\nsettle = 0.1\n',
        }
    )
    storage = own / "home" / "apps" / "shop" / "deploys" / "production" / "storage"

    def run(_: Path, manner: str, lines: int) -> Run:
        _order(storage, manner, lines)
        pid = _supervisor_of(own / "home")
        before = _busy_s(pid)
        shop.trivet("scale", "worker=1")
        taken = _taken(storage)
        busy = _busy_s(pid) - before
        shop.trivet("scale", "worker=0")
        return Run(taken, busy)

    try:
        shop.trivet("deploy")
        yield run
    finally:
        shop.trivet("down")


def _supervisord(tools: Path, own: Path, manner: str, lines: int) -> Run:
    config = own / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={own}/supervisord.pid\n"
        + ("user=root\n" if os.geteuid() == 0 else "")
        + f"[program:child]\ncommand={_child(own, manner, lines)}\nredirect_stderr=true\nstdout_logfile={own}/log\n"
    )
    return _supervised((str(tools / "supervisord"), "-c", str(config)), own)


def _circus(tools: Path, own: Path, manner: str, lines: int) -> Run:
    config = own / "circus.ini"
    config.write_text(
        f"[circus]\nendpoint=ipc://{own}/endpoint\npubsub_endpoint=ipc://{own}/pubsub\n"
        f"[watcher:child]\ncmd={_child(own, manner, lines)}\nstdout_stream.class=FileStream\n"
        f"stdout_stream.filename={own}/log\nstdout_stream.max_bytes=50000000\nstdout_stream.backup_count=1\n"
    )
    return _supervised((str(tools / "circusd"), str(config)), own)


def _honcho(tools: Path, own: Path, manner: str, lines: int) -> Run:
    (own / "Procfile").write_text(f"child: exec {_child(own, manner, lines)}\n")
    return _supervised((str(tools / "honcho"), "start", "-f", str(own / "Procfile")), own)


def _supervised(argv: tuple[str, ...], own: Path) -> Run:
    with (own / "output").open("ab") as output:
        process = subprocess.Popen(argv, cwd=own, stdout=output, stderr=subprocess.DEVNULL)
    try:
        taken = _taken(own)
        pids = _descendants(process.pid)
        return Run(taken, sum(_busy_s(pid) for pid in pids if b"child.py" not in _last_argument(pid)))
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It and all that it has started are gone, also one that has still much to write (honcho)."""
    pids = _descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)


def _supervisor_of(home: Path) -> int:
    for folder in Path("/proc").glob("[0-9]*"):
        argv = _arguments(int(folder.name))
        if str(home).encode() in argv and any(part.endswith(b"run/__main__.py") for part in argv):
            return int(folder.name)
    raise LookupError(f"no supervisor runs for {home}")


def _busy_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        found.extend(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
    return found


def _arguments(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def _last_argument(pid: int) -> bytes:
    return (_arguments(pid) or [b""])[-1]


if __name__ == "__main__":
    main()

"""What a process wrote last before it crashed is shown where the crash is."""

import json

from support.command import Done, Trivet, eventually
from support.repository import Repository

CRASHES = """
import os, sys, time
print("a line of long ago", flush=True)
for number in range(5):
    print(f"step {number}", flush=True)
while not os.path.exists(os.environ["TRIVET_STORAGE"] + "/go"):
    time.sleep(0.01)
sys.stderr.write("\\x1b[31mValueError: no database")
sys.exit(3)
"""
FILES = {
    "Procfile": "worker: python3 worker.py\n",
    "worker.py": CRASHES,
    "trivet.toml": 'app = "shop"\n\n[processes.worker]\nsettle = 0.1\n',
}
WORDS = ["step 1", "step 2", "step 3", "step 4", "\x1b[31mValueError: no database"]


def _is_in_a_loop(trivet: Trivet) -> bool:
    (worker,) = trivet.processes(process="worker.1")
    return bool(worker["state"] == "crashed" and worker["restarts"] >= 4)


def test_the_last_lines_of_a_crash_are_shown_where_it_is(trivet: Trivet, repository: Repository) -> None:
    repository.commit(FILES)
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    (worker,) = trivet.processes(process="worker.1")
    assert worker["output"] == []
    (trivet.home / "apps/shop/deploys/production/storage/go").touch()
    eventually(lambda: _is_in_a_loop(trivet))

    (worker,) = trivet.processes(process="worker.1")
    assert worker["output"] == WORDS
    seen: list[Done] = []

    def is_told_between_two_starts() -> bool:
        seen.append(trivet.ok("ps"))
        return "crashed (crash loop)" in seen[-1].out

    eventually(is_told_between_two_starts)
    shown = seen[-1]
    assert shown.err == (
        "worker.1 of v1 wrote last, before it ended (exit 3):\n"
        "  | step 1\n  | step 2\n  | step 3\n  | step 4\n  | ValueError: no database\n"
    )

    told = trivet.ok("log").out.splitlines()
    crash = next(number for number, line in enumerate(told) if "crashed" in line and "exited with 3" in line)
    assert [line.strip() for line in told[crash + 1 : crash + 6]] == [
        *(f"| step {number}" for number in range(1, 5)),
        "| ValueError: no database",
    ]
    events = [json.loads(line) for line in trivet.ok("events", "--kind", "crashed", "--json").out.splitlines()]
    assert {tuple(event["output"]) for event in events} == {tuple(WORDS)}

    logs = trivet.ok("logs").out
    assert "ValueError: no database\n" in logs  # though the process has not ended its line
    trivet.ok("stop")
    assert trivet.ok("logs").out.endswith("ValueError: no database\n") or "trivet: worker.1 exited with 3" in logs


def test_a_process_that_ended_in_the_middle_of_a_line_has_its_line_in_the_log(
    trivet: Trivet, repository: Repository
) -> None:
    ends = 'import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(sys.stdout.write("bye")))\n'
    ends += 'print("ready", flush=True)\nsignal.pause()\n'
    repository.commit({**FILES, "worker.py": ends})
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    eventually(lambda: "ready" in trivet.ok("logs").out, what="a worker that knows how to end")
    trivet.ok("stop")
    assert trivet.ok("logs").out.endswith("| bye\n")

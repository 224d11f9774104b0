"""`python number_again.py HOME`, in a pid namespace: while no supervisor runs, a stranger gets an app's process's number."""

import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

from run.shop import WORKER, Shop, wait_until  # noqa: E402
from trivet.model.home import Home  # noqa: E402
from trivet.model.names import AppName, Deploy, DeployName  # noqa: E402
from trivet.run import Machine  # noqa: E402


def fork_as(number: int) -> "subprocess.Popen[bytes]":
    """A stranger of this number."""
    while True:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(number - 1))
        stranger = subprocess.Popen(("sleep", "600"))
        if stranger.pid == number:
            return stranger
        stranger.kill()  # somebody else came first
        stranger.wait()


def main(home: Home) -> None:
    shop = Shop(home, Deploy(AppName("shop"), DeployName("production")), Machine(home))
    shop.machine.up()
    shop.worker(1, WORKER)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    (worker,) = shop.processes()
    number = worker.pid or 0
    shop.kill_supervisor()
    shop.end(number)  # and reaped: we are the namespace's first process, so its orphans are our children
    wait_until(lambda: not Path(f"/proc/{number}").exists())
    with fork_as(number) as stranger:
        shop.machine.up()
        wait_until(lambda: shop.processes() and shop.processes()[0].pid is not None)
        assert shop.processes()[0].pid != number
        shop.machine.down()
        assert stranger.poll() is None
        print("the stranger lives, and the worker runs under another number")
        stranger.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])))

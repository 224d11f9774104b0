"""The time of a switch beyond the app's own readiness: from its listening on $PORT until users get its answers.

    .venv/bin/python bench/switch.py

Goal: at most 50 ms. The app writes down when it listens; a client that asks through the front door without a pause sees
when the first answer of the new release comes, and counts what fails. Beside it, from the outcome: from ready (the second
good answer) until the door has shifted, and what the steps after that take.
"""

import http.client
import json
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import TRIVET, print_milliseconds
from shop import SERVER, Shop, make_shop

ROUNDS = 11
TELLS = SERVER.replace(
    "server.serve_forever(poll_interval=0.02)",
    'import time\nwith open(os.environ["TRIVET_STORAGE"] + "/" + os.environ["TRIVET_RELEASE"], "w") as file:\n'
    "    file.write(repr(time.time()))\nserver.serve_forever(poll_interval=0.02)",
).replace('b"ok\\n"', 'os.environ["TRIVET_RELEASE"].encode()')
TELLS = TELLS.replace('"Content-Length", "3"', '"Content-Length", str(len(os.environ["TRIVET_RELEASE"]))')


@dataclass
class Client:
    """Asks through the door without a pause: when each release was first seen, and how often it failed."""

    port: int
    seen: dict[str, float] = field(default_factory=dict)
    answers: int = 0
    failures: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.stopping.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                name = answer.read().decode()
            except (OSError, http.client.HTTPException):
                self.failures += 1
                connection.close()
                continue
            self.answers += 1
            self.failures += answer.status != 200
            self.seen.setdefault(name, time.time())
            time.sleep(0.0005)  # the other core, too, is for what is measured


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make_shop(Path(folder))
        shop.commit({"server.py": TELLS})
        try:
            measure(shop)
        finally:
            shop.trivet("down")


def measure(shop: Shop) -> None:
    """Some switches, and their figures."""
    told = deploy(shop)
    client = Client(int(str(told["address"]).rpartition(":")[2]))
    thread = threading.Thread(target=client.run)
    thread.start()
    outcomes = [deploy(shop) for _ in range(ROUNDS)]
    time.sleep(0.1)
    client.stopping.set()
    thread.join()
    storage = Path(shop.environment["TRIVET_HOME"]) / "apps/shop/deploys/production/storage"
    names = [f"v{outcome['release']}" for outcome in outcomes]
    timings = [outcome["timings_s"] for outcome in outcomes]
    figures = {
        "listening -> answers users": [client.seen[name] - float((storage / name).read_text()) for name in names],
        "ready -> shifted": [each["shifted"] - each["ready"] for each in timings],
        "shifted -> drained": [each["drained"] - each["shifted"] for each in timings],
        "drained -> the old is gone": [each["stopped"] - each["drained"] for each in timings],
    }
    print_milliseconds(f"A switch, medians of {ROUNDS}", figures)
    worst = statistics.median(figures["listening -> answers users"]) * 1000
    print(f"\nGoal: listening -> answers users at most 50 ms; it took {worst:.1f}")
    print(f"{client.failures} of {client.answers + client.failures} requests failed meanwhile")


def deploy(shop: Shop) -> Any:
    """What a deploy tells."""
    argv = (*TRIVET, "deploy", "--json")
    done = subprocess.run(argv, cwd=shop.repository, env=shop.whole_environment, check=True, capture_output=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()

"""A front door that takes over from the one that is there: where that one is ended, so is its heir."""

import contextlib
import select
import signal
import time

from trivet.errors import SupervisorUnreachable
from trivet.host import processes
from trivet.model.home import Home
from trivet.run.door import link

_WITHIN_S = 2.0
_POLL_S = 0.005


def end_heir(home: Home, pidfd: int) -> None:
    """It has ended: once it answers, it is told; one that never does is killed."""
    deadline = time.monotonic() + _WITHIN_S
    while not select.select((pidfd,), (), (), _POLL_S)[0]:
        if time.monotonic() > deadline:
            processes.send_signal(pidfd, signal.SIGKILL)
            deadline += _WITHIN_S
        with contextlib.suppress(SupervisorUnreachable), contextlib.closing(link.connect(home)) as door:
            door.ask({"do": "end"})

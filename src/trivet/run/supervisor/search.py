"""The search for the way into a process that no gate has asked: it may listen on its Unix socket instead of its port."""

from pathlib import Path

from trivet.host.sockets import is_unix_socket
from trivet.run.plan import socket_path
from trivet.run.supervisor.loop import Loop
from trivet.run.supervisor.process import Process

_FIRST_S, _LONGEST_S, _GROWTH = 0.01, 0.5, 1.3
_LOOKS = 150  # a bit more than a minute


def search(loop: Loop, process: Process) -> None:
    """Once the process, which may start again meanwhile, has made its socket, requests go there. Gives up after a while."""
    if process.plan.has_port and not process.plan.inherits:
        _Search(loop, process).look()


class _Search:
    def __init__(self, loop: Loop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._wait_s = _FIRST_S
        self._left = _LOOKS

    def look(self) -> None:
        process = self._process
        if process.is_stopping or process.status.uses_socket or not self._left:
            return
        if process.status.pid is not None and is_unix_socket(socket_path(Path(process.status.temporary))):
            process.use_socket()
            return
        self._left -= 1
        self._loop.after(self._wait_s, self.look)
        self._wait_s = min(self._wait_s * _GROWTH, _LONGEST_S)

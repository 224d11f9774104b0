"""Listening sockets of deploys: opened, or said why not, and who has the port instead."""

import errno
import socket
from collections.abc import Mapping

from trivet.errors import PortTaken, RunError, TrivetError
from trivet.host import processes, reuseport
from trivet.host.files import refused
from trivet.model.names import Deploy
from trivet.model.run import Address
from trivet.run.supervisor.group import BACKLOG


def open_listener(
    listeners: Mapping[tuple[Deploy, Address], socket.socket], deploy: Deploy, address: Address
) -> socket.socket:
    """A socket that listens on the address, beside those that are open. Raises: PortTaken, RunError, MachineError."""
    for other, known in listeners:
        if known.port == address.port and other != deploy:
            raise PortTaken(
                f"Port {address.port} is the address of {other}.", hint="Choose another one: trivet deploy --port"
            )
    try:
        return _listen(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _not_to_be_had(address, error) from error
        own = [listener for (_, known), listener in listeners.items() if known.port == address.port]
        if not own:
            raise _taken(address.port) from error
    # The same port on other addresses: the kernel lets both listen until the old one is closed.
    for listener in own:
        reuseport.open_up(listener)
    return _listen(address, shared=True)


def _listen(address: Address, *, shared: bool = False) -> socket.socket:
    listener = reuseport.listen((address.host, address.port), BACKLOG, joins=shared)
    listener.settimeout(0)
    return listener


def _taken(port: int) -> PortTaken:
    holder = processes.port_holder(port)
    who = f"process {holder.pid} ({holder.command})" if holder is not None else "a process of another user"
    return PortTaken(
        f"Port {port} is taken by {who}.", hint="End that process, or choose another port: trivet deploy --port"
    )


def _not_to_be_had(address: Address, error: OSError) -> TrivetError:
    what = f"listen on {address.host} port {address.port}"
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Ports below 1024 need root: choose another with --port, or put a web server in front."
    elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        hint = "This machine has no such address. 127.0.0.1 is reached from here only, 0.0.0.0 from everywhere: --host"
    else:
        return refused(error, what)
    return RunError(f"Cannot {what}: {error.strerror}.", hint=hint)

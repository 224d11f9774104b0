"""A client's end of the supervisor's control socket. The protocol is told in `control`."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import trivet.errors
from trivet.errors import SupervisorUnreachable, TrivetError
from trivet.host.key import take_key
from trivet.host.sockets import connect_unix, receive, send_line
from trivet.model.home import Home
from trivet.run.supervisor.launch import socket_path

_CONNECTS_WITHIN_S = 10.0

Report = Callable[[str, Mapping[str, object]], None]


def ask(home: Home, request: Mapping[str, object], *, within_s: float, report: Report | None = None) -> Any:
    """The supervisor's answer; its events are handed to `report` as they come. `within_s`: longest silence, seconds.

    Raises: SupervisorUnreachable; or what the supervisor refused with.
    """
    try:
        with connect_unix(socket_path(home), _CONNECTS_WITHIN_S) as connection:
            connection.settimeout(within_s)
            send_request(home, connection, request)
            return _await_answer(connection, report)
    except OSError as error:
        raise _unreachable(error) from error


def send_request(home: Home, connection: socket.socket, request: Mapping[str, object]) -> None:
    """The request is sent, and the key with it. Raises: OSError (PermissionError: we are sealed, or not its user)."""
    key = take_key(home.supervisor)
    try:
        send_line(connection, json.dumps(request).encode(), (key,))
    finally:
        os.close(key)


def is_listening(home: Home) -> bool:
    """Whether a supervisor accepts connections, though it may not answer yet."""
    try:
        connect_unix(socket_path(home), _CONNECTS_WITHIN_S).close()
    except OSError:
        return False
    return True


def _await_answer(connection: socket.socket, report: Report | None) -> Any:
    data = b""
    while True:
        line, newline, rest = data.partition(b"\n")
        if not newline:
            received, _ = receive(connection)
            if not received:
                raise ConnectionResetError("it ended before it answered")
            data += received
            continue
        data = rest
        message = json.loads(line)
        if "event" not in message:
            return _result(message)
        if report is not None:
            report(message["event"], message["facts"])


def _result(message: Mapping[str, Any]) -> Any:
    if message["ok"]:
        return message["result"]
    error = message["error"]
    kind = getattr(trivet.errors, str(error["kind"]), TrivetError)
    raise kind(error["message"], hint=error["hint"], detail=tuple(error["detail"]))


def _unreachable(error: OSError) -> SupervisorUnreachable:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return SupervisorUnreachable("The supervisor does not run.", hint="Start it: trivet up")
    why = "it takes too long" if isinstance(error, TimeoutError) else (error.strerror or str(error))
    return SupervisorUnreachable(
        f"The supervisor does not answer: {why}.", hint="`trivet up` starts it again; run/supervisor.log says more."
    )

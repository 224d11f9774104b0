"""Caddy's admin API: its config, read, and put in place as a whole; what is served goes on meanwhile.

https://caddyserver.com/docs/api (`Etag` and `If-Match` keep two who change it from undoing each other.)
"""

import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trivet.errors import InputError, MachineError
from trivet.model.frozen import frozen

if TYPE_CHECKING:
    import http.client

DEFAULT = "127.0.0.1:2019"
_WITHIN_S = 30.0
_OK, _CHANGED_MEANWHILE = 200, 412


@frozen
class Admin:
    """Where the admin API listens: `host` and `port`, or a Unix socket at `path`."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_admin(text: str) -> Admin:
    """`127.0.0.1:2019`, or `unix:/run/caddy/admin.sock`. Raises: InputError."""
    if text.startswith("unix:/"):
        return Admin(path=text.removeprefix("unix:"))
    host, colon, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    if colon and host and port.isdecimal() and 0 < int(port) <= 65535:
        return Admin(host=host.strip("[]"), port=int(port))
    raise InputError(
        f"TRIVET_CADDY is {text!r}, which is no address.",
        hint=f"Write it like {DEFAULT}, or unix:/run/caddy/admin.sock",
    )


class Caddy:
    """A running Caddy, asked through its admin API."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def config(self) -> tuple[Mapping[str, Any] | None, str]:
        """Its config (None: it has none), and a mark that says which it is. Raises: MachineError."""
        answer = self._ask("GET", "/config/")
        if answer.status != _OK:
            raise self._refused(answer)
        try:
            return json.loads(answer.body), answer.mark
        except ValueError as error:
            raise self._refused(answer) from error

    def replace(self, config: Mapping[str, Any], mark: str) -> bool:
        """This is its config. False: somebody changed it since the mark; nothing was done. Raises: MachineError."""
        answer = self._ask("POST", "/config/", json.dumps(config).encode(), {"If-Match": mark} if mark else {})
        if answer.status == _CHANGED_MEANWHILE:
            return False
        if answer.status != _OK:
            raise self._refused(answer)
        return True

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> "_Answer":
        import http.client  # 60 ms that only domains need

        connection = self._connect()
        try:
            sent = {"Content-Type": "application/json", **(headers or {})}
            if self._admin.path:
                sent["Host"] = ""  # the one that every version takes over a Unix socket
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return _Answer(response.status, response.read(), response.headers.get("Etag", ""))
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _connect(self) -> "http.client.HTTPConnection":
        import http.client

        if not self._admin.path:
            return http.client.HTTPConnection(self._admin.host, self._admin.port, timeout=_WITHIN_S)
        connection = http.client.HTTPConnection("localhost", timeout=_WITHIN_S)
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(_WITHIN_S)
        try:
            end.connect(self._admin.path)
        except OSError as error:
            end.close()
            raise self._unreachable(error) from error
        connection.sock = end
        return connection

    def _unreachable(self, error: Exception) -> MachineError:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return MachineError(
            f"Caddy does not answer at {self._admin}: {why}.",
            hint="Start it (`systemctl start caddy-api`, or `caddy run`), or say where its admin API listens: TRIVET_CADDY",
        )

    def _refused(self, answer: "_Answer") -> MachineError:
        try:
            why = str(json.loads(answer.body)["error"])
        except (ValueError, KeyError, TypeError):
            why = f"it answered {answer.status}"
        return MachineError(
            f"Caddy at {self._admin} refused: {why}.", hint="It goes on as it was. Its own log says more."
        )


@frozen
class _Answer:
    status: int
    body: bytes
    mark: str

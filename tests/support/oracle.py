"""Who else reads HTTP: an app that reads with h11 and keeps what it saw, and nginx as another door before such an app."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import h11

from support.wire import DEADLINE_S, Backend

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
_CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  lingering_close off; client_max_body_size 0;
  upstream app {{ server 127.0.0.1:{app}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_ignore_client_abort on; proxy_next_upstream off;
    }}
  }}
}}
"""


class Witness:
    """An app whose HTTP is h11's. `seen` has each whole request as `METHOD target body`; what h11 cannot read as `!`."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        reader = h11.Connection(h11.SERVER)
        try:
            while self._answer(connection, reader):
                reader.start_next_cycle()
        except h11.ProtocolError as error:
            self.seen.append(f"! {error}".encode())

    def _answer(self, connection: socket.socket, reader: h11.Connection) -> bool:
        """One request is read and answered; False: there is none, or no other follows."""
        request, body = None, b""
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                if reader.they_are_waiting_for_100_continue:
                    _send(connection, reader, h11.InformationalResponse(status_code=100, headers=[]))
                data = connection.recv(65536)
                if not data:  # the request will never be whole
                    return False
                reader.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                self.seen.append(b" ".join(filter(None, (request.method, request.target, body))))
                break
            else:
                return False
        _send(connection, reader, h11.Response(status_code=200, headers=[("Content-Length", "2")]))
        _send(connection, reader, h11.Data(data=b"" if request.method == b"HEAD" else b"ok"))
        _send(connection, reader, h11.EndOfMessage())
        return reader.our_state is h11.DONE and reader.their_state is h11.DONE


def _send(connection: socket.socket, writer: h11.Connection, event: "h11.Event") -> None:
    connection.sendall(writer.send(event) or b"")


@contextlib.contextmanager
def nginx_before(app: Backend, folder: Path) -> Iterator[tuple[str, int]]:
    """nginx relays to the app; the address it listens on."""
    assert NGINX is not None
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    (folder / "conf").write_text(_CONFIG.format(folder=folder, app=app.port, port=port))
    process = subprocess.Popen((NGINX, "-p", str(folder), "-c", str(folder / "conf")), stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.01)
        else:
            return


def statuses_of(answers: bytes, methods: Sequence[bytes]) -> list[int]:
    """The status of each final answer in these bytes, as h11 reads them; -1: they cannot be read.

    `methods` are those of the requests; there may be one answer more, to what was no request.
    """
    reader = h11.Connection(h11.CLIENT)
    statuses: list[int] = []
    reader.receive_data(answers)
    reader.receive_data(b"")
    try:
        for method in (*methods, b"GET"):
            if not reader.trailing_data[0]:
                break
            reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
            reader.send(h11.EndOfMessage())
            while isinstance(event := reader.next_event(), h11.InformationalResponse | h11.Data):
                pass
            if not isinstance(event, h11.Response):
                break
            statuses.append(event.status_code)
            while isinstance(reader.next_event(), h11.Data):
                pass
            if reader.their_state is not h11.DONE:
                break
            reader.start_next_cycle()
    except h11.RemoteProtocolError:
        statuses.append(-1)
    return statuses

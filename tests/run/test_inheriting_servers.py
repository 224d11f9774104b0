"""The servers that apps use, really started with an inherited socket."""

import http.client

import pytest

from run.shop import PATIENCE_S, Shop, free_port, wait_until
from support.servers import SERVERS, compile_go
from support.toolchains import needs
from trivet.model.process import ProcessType
from trivet.run.door import link

# Go's own packages may still have to be compiled.
GO_MARKS = (pytest.mark.slow, pytest.mark.timeout(900))


def release(shop: Shop, number: int, name: str) -> int:
    """A release of the server's app that inherits its socket."""
    server = SERVERS[name]
    kind = ProcessType("web", server.command, timeout_s=PATIENCE_S, grace_s=PATIENCE_S, inherits=True)
    shop.release(number, server.files, (kind,))
    if name == "go":
        compile_go(shop.home.bundle(shop.deploy.app, f"{number:012x}") / "app", server.files["app.go"])
    return number


def post(port: int) -> str:
    """What a request with a body is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", b"a body", {"Connection": "close"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200
    return body


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=(needs(*server.needs), *(GO_MARKS if name == "go" else ())))
        for name, server in SERVERS.items()
    ],
)
def test_a_server_answers_on_the_socket_that_it_inherits_and_is_followed(shop: Shop, name: str) -> None:
    port = free_port()
    release(shop, 1, name)
    shop.ok(1, port)
    assert post(port) == "v1 a body"
    release(shop, 2, name)
    shop.ok(2)
    assert post(port) == "v2 a body"
    wait_until(lambda: set(shop.pids()) == {"v2.web.1"})
    assert shop.processes()[0].restarts == 0
    door = link.connect(shop.home)
    assert door.ask({"do": "status"}).data["requests"] == 0
    door.close()

"""Metrics: true, readable for Prometheus' own parser, served at a place of choice, and nobody's way to slow us down."""

import gc
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import trivet
from run.shop import DEADLINE_S, Shop, free_port, kill, wait_until
from support.command import Trivet
from support.installation import install
from support.wire import read_until
from trivet.errors import MachineError, PortTaken
from trivet.model.endpoint import Endpoint
from trivet.model.home import Home
from trivet.run.metrics import end_metrics, read_metrics, read_place, serve_metrics
from trivet.run.supervisor.exposition import FAMILIES, Exposition, write_labels
from trivet.run.supervisor.gathering import Gathering, Subject
from trivet.run.supervisor.journal import Journal
from trivet.run.supervisor.loop import Loop

SECRET = "hush-this-is-a-value-of-the-config"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _parse(text: str) -> Samples:
    """Every sample by its name and labels, read by Prometheus' parser; none is there twice."""
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found: Samples = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples)
    for name, _ in found:
        assert name in FAMILIES
    return found


def _read(shop: Shop) -> Samples:
    return _parse(read_metrics(shop.home))


def _of(samples: Samples, name: str, **labels: str) -> float | None:
    """The value of the one sample of this name that has these labels."""
    found = [value for (each, its), value in samples.items() if each == name and labels.items() <= dict(its).items()]
    assert len(found) <= 1
    return found[0] if found else None


def _endpoint() -> Endpoint:
    return Endpoint("127.0.0.1", free_port())


def _get(endpoint: Endpoint, path: str = "/metrics") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{endpoint}{path}", timeout=DEADLINE_S) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _say(endpoint: Endpoint, said: bytes) -> bytes:
    """All that is answered."""
    with socket.create_connection((endpoint.host, endpoint.port), DEADLINE_S) as connection:
        connection.sendall(said)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def test_what_is_told_is_true_and_no_config_is_in_it(shop: Shop) -> None:
    shop.shop(1, SECRET=SECRET)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    for _ in range(3):
        shop.fetch()
    text = read_metrics(shop.home)
    samples = _parse(text)
    assert SECRET not in text
    where = {"app": "shop", "deploy": "production"}
    assert _of(samples, "trivet_deploy_release", **where) == 1
    assert _of(samples, "trivet_deploy_stopped", **where) == 0
    assert _of(samples, "trivet_roll_outs_total", outcome="succeeded") == 1
    assert _of(samples, "trivet_events_total", kind="scaled") == 1
    assert _of(samples, "trivet_door_requests_total", **where) == 3
    assert _of(samples, "trivet_door_refused_total", **where) == 0
    for name in ("web.1", "worker.1"):
        of = {**where, "release": "v1", "process": name}
        assert _of(samples, "trivet_process_up", **of) == 1
        assert _of(samples, "trivet_process_members", **of) == 1
        assert (_of(samples, "trivet_process_resident_memory_bytes", **of) or 0) > 1_000_000
        assert (_of(samples, "trivet_process_open_fds", **of) or 0) >= 3
        assert _of(samples, "trivet_process_cpu_seconds_total", **of) is not None
    assert _of(samples, "trivet_door_backend_requests_total", process="web.1") == 3
    assert _of(samples, "trivet_door_backend_in_flight", process="web.1") == 0
    assert _of(samples, "trivet_door_up") == 1
    (rolled_out,) = (shop.home.run(shop.deploy) / "rollouts").iterdir()
    last_s = _of(samples, "trivet_roll_out_last_timestamp_seconds") or 0
    assert abs(last_s - rolled_out.stat().st_mtime) < 30  # a busy disk takes its time
    assert 0 <= (_of(samples, "trivet_supervisor_open_fds") or 0) - _descriptors(shop) <= 2  # who asks, and the door
    assert {name for name, _ in samples} == set(FAMILIES)


def test_crashes_failures_and_stops_are_counted(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    kill(shop.processes("web.1")[0].pid or 0)
    wait_until(lambda: shop.processes("web.1")[0].restarts == 1 and shop.processes("web.1")[0].pid)
    shop.web(2, "raise SystemExit(3)")
    assert not shop.roll_out(2).succeeded
    samples = _read(shop)
    assert _of(samples, "trivet_process_restarts_total", process="web.1") == 1
    assert _of(samples, "trivet_roll_outs_total", outcome="failed") == 1
    assert _of(samples, "trivet_events_total", kind="crashed") == 1
    shop.machine.stop(shop.deploy)
    assert shop.get()[0] == 503
    wait_until(lambda: _of(_read(shop), "trivet_door_refused_total") == 1)
    samples = _read(shop)
    assert _of(samples, "trivet_deploy_stopped") == 1
    assert _of(samples, "trivet_process_up") is None


def test_two_of_one_name_are_told_as_one(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.web(
        2,
        "import os, time\nmarker = os.environ['TRIVET_STORAGE'] + '/go'\nwhile not os.path.exists(marker):\n    time.sleep(0.01)",
    )
    shop.begin(2)
    assert len(shop.processes("web.1")) == 2
    samples = _read(shop)
    assert _of(samples, "trivet_process_up", release="v1", process="web.1") == 1
    assert _of(samples, "trivet_process_up", release="v2", process="web.1") == 0
    (shop.home.storage(shop.deploy) / "go").touch()


def test_they_are_served_at_a_port_until_that_is_ended_and_by_the_next_supervisor_too(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    endpoint = _endpoint()
    serve_metrics(shop.home, endpoint)
    status, text = _get(endpoint)
    assert status == 200
    assert _of(_parse(text), "trivet_process_up") == 1
    shop.kill_supervisor()
    shop.machine.up()
    wait_until(lambda: read_place(shop.home).served)
    assert _of(_parse(_get(endpoint)[1]), "trivet_process_up") == 1
    shop.machine.down()
    shop.machine.up()
    assert read_place(shop.home).listen == str(endpoint)
    assert _get(endpoint)[0] == 200
    assert end_metrics(shop.home) == str(endpoint)
    assert end_metrics(shop.home) is None
    with pytest.raises(urllib.error.URLError):
        _get(endpoint)
    shop.machine.down()
    shop.machine.up()
    assert read_place(shop.home).listen is None


def test_they_are_served_at_a_unix_socket_for_our_user_alone(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    serve_metrics(shop.home, Endpoint(path=str(path)))
    assert path.stat().st_mode & 0o777 == 0o600
    argv = ("curl", "--silent", "--fail", "--unix-socket", str(path), "http://trivet/metrics")
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert _of(_parse(text), "trivet_door_up") == 0  # nothing was deployed yet
    shop.kill_supervisor()  # and leaves the socket behind
    shop.machine.up()
    wait_until(lambda: read_place(shop.home).served)
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
    end_metrics(shop.home)
    assert not path.exists()


def test_the_supervisor_of_another_version_serves_them_on(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    serve_metrics(shop.home, Endpoint(path=str(path)))
    Trivet(shop.home.root, tmp_path, {"PYTHONPATH": str(install(tmp_path / "next", "0.2.0"))}).ok("up")
    wait_until(lambda: read_place(shop.home).served)
    argv = ("curl", "--silent", "--fail", "--unix-socket", str(path), "http://trivet/metrics")
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert _of(_parse(text), "trivet_build_info", version="0.2.0") == 1


def test_a_place_that_cannot_be_had_leaves_everything_as_it_was(shop: Shop, tmp_path: Path) -> None:
    endpoint, file, folder = _endpoint(), tmp_path / "file", tmp_path / "none" / "m.sock"
    serve_metrics(shop.home, endpoint)
    file.write_text("keep me")
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortTaken) as taken:
        serve_metrics(shop.home, Endpoint("127.0.0.1", other.getsockname()[1]))
    assert taken.value.message.startswith("Somebody else listens at 127.0.0.1:")
    for path in (file, folder):
        with pytest.raises(MachineError):
            serve_metrics(shop.home, Endpoint(path=str(path)))
    assert file.read_text() == "keep me"
    assert read_place(shop.home).listen == str(endpoint)
    assert _get(endpoint)[0] == 200


def test_a_place_that_is_taken_when_the_supervisor_comes_up_is_told_and_keeps_nothing_from_running(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    endpoint = _endpoint()
    serve_metrics(shop.home, endpoint)
    shop.machine.down()
    with socket.create_server((endpoint.host, endpoint.port)):
        shop.machine.up()
        assert shop.fetch().startswith("v1 ")
        place = read_place(shop.home)
        assert (place.listen, place.served) == (str(endpoint), False)
    log = (shop.home.supervisor / "supervisor.log").read_text()
    assert f"trivet: no metrics are served for now: Somebody else listens at {endpoint}." in log
    wait_until(lambda: read_place(shop.home).served)


@pytest.mark.parametrize("kept", ["{", '{"listen": "nowhere"}', '{"listen": 1}'])
def test_a_damaged_setting_is_told_and_keeps_nothing_from_running(quiet_shop: Shop, kept: str) -> None:
    quiet_shop.home.supervisor.mkdir(parents=True)
    (quiet_shop.home.supervisor / "metrics.json").write_text(kept)
    quiet_shop.machine.up()
    quiet_shop.shop(1)
    quiet_shop.ok(1)
    assert read_place(quiet_shop.home).listen is None
    assert "trivet: no metrics are served: " in (quiet_shop.home.supervisor / "supervisor.log").read_text()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 Not Found"),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", b"HTTP/1.1 405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\n\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET /metrics?name=x HTTP/1.0\n\n", b"HTTP/1.1 200 OK"),
        (b"x" * 9000, b""),
    ],
)
def test_what_is_asked_wrongly_is_answered_in_words_or_not_at_all(shop: Shop, said: bytes, answer: bytes) -> None:
    endpoint = _endpoint()
    serve_metrics(shop.home, endpoint)
    assert _say(endpoint, said).split(b"\r\n")[0] == answer
    head, _, body = _say(endpoint, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body == b""


def test_scrapers_that_are_slow_silent_or_many_hold_up_nobody_and_take_no_room(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    endpoint = _endpoint()
    serve_metrics(shop.home, endpoint)
    _get(endpoint)
    before = _descriptors(shop)
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(socket.create_connection((endpoint.host, endpoint.port), DEADLINE_S))
            connection.sendall((b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n\r\n")[number % 3])  # and nobody reads
        pid = shop.processes("web.1")[0].pid
        kill(pid or 0)
        wait_until(lambda: shop.processes("web.1")[0].pid not in (None, pid))
        assert _get(endpoint)[0] == 200
        assert _descriptors(shop) <= before + 33
    wait_until(lambda: _descriptors(shop) <= before + 1)
    assert "Traceback" not in (shop.home.supervisor / "supervisor.log").read_text()


def test_a_front_door_that_hangs_holds_up_nobody(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    with _hanging_door(shop):
        asked = socket.create_connection(_served(shop), DEADLINE_S)
        with asked:
            asked.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert shop.processes("web.1")[0].pid  # the supervisor answers while it waits for the door
            text = read_until(asked, b"trivet_door_up 0\n")
        assert b'trivet_process_up{app="shop",deploy="production",release="v1",process="web.1"} 1\n' in text
    wait_until(lambda: _of(_read(shop), "trivet_door_up") == 1)


def _served(shop: Shop) -> tuple[str, int]:
    endpoint = _endpoint()
    serve_metrics(shop.home, endpoint)
    return endpoint.host, endpoint.port


@contextmanager
def _hanging_door(shop: Shop) -> Iterator[None]:
    door = str(shop.home.supervisor).encode()
    (pid,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if (argv := _argv(path)) and b"door/__main__.py" in argv and door in argv.split(b"\0")
    )
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _argv(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _descriptors(shop: Shop) -> int:
    return len(list(Path(f"/proc/{shop.supervisor_pid()}/fd").iterdir()))


def test_a_gathering_is_gone_once_it_is_over_without_a_search_for_circles(home: Home) -> None:
    home.supervisor.mkdir(parents=True)
    loop, texts = Loop(), list[bytes | None]()

    def done(text: bytes | None) -> None:
        texts.append(text)
        loop.stop()

    gc.disable()
    try:
        gone = weakref.ref(Gathering(loop, Subject(home, Journal(home, loop), (), 0.0), done))
        loop.run()
        assert gone() is None
    finally:
        gc.enable()
        loop.close()
    assert _of(_parse((texts[0] or b"").decode()), "trivet_door_up") == 0


def test_every_metric_stands_in_the_reference_as_it_is() -> None:
    lines = (Path(trivet.__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    assert [(name.strip("`"), kind, told) for name, kind, _, told in rows] == [
        (name, kind, told) for name, (kind, told) in FAMILIES.items()
    ]


def test_labels_are_escaped() -> None:
    exposition = Exposition()
    value = 'a"b\\c\nd'
    exposition.add("trivet_build_info", 1, write_labels(version=value))
    assert _parse(exposition.text().decode()) == {("trivet_build_info", (("version", value),)): 1.0}

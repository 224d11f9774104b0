"""A build may write to its scratch folder and to the download cache, and nowhere else: the kernel refuses."""

import json
import os
import socket
from pathlib import Path

import pytest

from support.building import WAYS, Builder
from trivet.build import verify_layer
from trivet.errors import InputError, LimitReached
from trivet.host.sandbox import Sandbox
from trivet.host.seclusion import Seclusion

pytestmark = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")


def _app(*commands: str) -> dict[str, str | None]:
    return {
        "Procfile": "web: true\n",
        "web.py": "print(1)\n",
        "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n",
    }


def test_a_build_cannot_change_a_layer_that_is_stored(builder: Builder) -> None:
    before = builder.commit(_app("true")).build
    layers = builder.home.layers
    attack = (
        f"chmod -R u+w {layers}; for file in {layers}/*/web.py; do echo '# owned' >> $file; done; rm -rf {layers}; true"
    )
    after = builder.commit(_app(attack)).build
    for layer in (*before.layers, *after.layers):
        verify_layer(builder.home, layer)
    assert builder.read(before, "web.py") == "print(1)\n"


@pytest.mark.parametrize("place", ["repository", "home", "machine"])
@pytest.mark.parametrize("way", WAYS)
def test_a_build_cannot_write_outside(builder: Builder, tmp_path: Path, place: str, way: str) -> None:
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    folder = {"repository": builder.repository.path, "home": builder.home.root, "machine": tmp_path}[place]
    (folder / "here").mkdir(parents=True)
    builder.commit(_app(f"touch {folder}/owned {folder}/here/owned; rm -rf {folder}/here; true"))
    assert not (folder / "owned").exists()
    assert list((folder / "here").iterdir()) == []


def test_a_build_can_write_where_it_works(builder: Builder) -> None:
    built = builder.commit(
        _app("touch made $HOME/made $TMPDIR/made && mv $TMPDIR/made moved && mkfifo $TMPDIR/pipe")
    ).build
    assert builder.read(built, "made") == ""
    assert builder.read(built, "moved") == ""


def _tells(*questions: str) -> dict[str, str | None]:
    """An app whose build says what came of each shell command: its output, or "refused"."""
    return _app(*(f"({question}) 2>/dev/null || echo refused" for question in questions))


@pytest.mark.parametrize("way", WAYS)
def test_a_build_reads_neither_the_home_nor_the_persons_secrets(builder: Builder, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "person" / ".ssh" / "id_ed25519"
    secret.parent.mkdir(parents=True)
    secret.write_text("canary")
    (builder.home.root).mkdir()
    builder.home.database.touch()
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    builder.commit(
        _tells(f"cat {secret}", f"cat {builder.home.database}", f"ls {builder.home.root}/apps", "cat /etc/shadow")
    )
    assert builder.told.lines == ["refused"] * 4


@pytest.mark.parametrize("way", WAYS)
def test_while_compiling_there_is_no_network(builder: Builder, way: str) -> None:
    connect = "python3 -c 'import socket, sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), 5)'"
    with socket.create_server(("127.0.0.1", 0)) as server:
        builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
        built = builder.commit(_tells(f"{connect} {server.getsockname()[1]} && echo connected"))
        assert builder.told.lines == ["refused"]
        assert built.build.confinement["network"] == "none"
        opened = {**_tells(f"{connect} {server.getsockname()[1]} && echo connected")}
        opened["trivet.toml"] = f'{opened["trivet.toml"]}network = "compile"\n'
        built = builder.commit(opened)
        assert builder.told.lines == ["connected"]
        assert built.build.confinement["network"] == "open, as trivet.toml asks"


@pytest.mark.parametrize("way", [way for way in WAYS if way is not Seclusion.LANDLOCK])
def test_a_build_sees_no_process_but_its_own(builder: Builder, way: str) -> None:
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    builder.commit(_tells(f"test -e /proc/{os.getpid()}", "hostname", "cat /proc/self/comm"))
    assert builder.told.lines == ["refused", "build", "cat"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("limits", "command", "message"),
    [
        ("time=1", "sleep 600", "The build took longer than 1 s and was ended."),
        (
            "processes=320",
            "for i in $(seq 5000); do sleep 600 & done; wait",
            "The build took more than 320 processes and was ended.",
        ),
        (
            "memory=300M",
            "exec python3 -c 'x = bytearray(1 << 29); import time; time.sleep(600)'",
            "The build took more than 300 MB of memory and was ended.",
        ),
        (
            "disk=20M",
            "for i in $(seq 40); do head -c 1000000 /dev/urandom > f$i; done; sleep 600",
            "The build took more than 20 MB of disk and was ended.",
        ),
    ],
)
def test_a_build_that_takes_too_much_is_ended(
    builder: Builder, way: str, limits: str, command: str, message: str
) -> None:
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way, "TRIVET_BUILD_LIMITS": limits}
    with pytest.raises(LimitReached) as caught:
        builder.commit(_app(command))
    name = limits.partition("=")[0]
    assert caught.value.message == message
    assert caught.value.hint == (
        f"If that is what it needs, raise the limit: TRIVET_BUILD_LIMITS={name}=… (docs/reference/environment.md)."
    )
    assert {path.name for path in builder.home.scratch.iterdir()} == {"gate"}


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        (
            "TRIVET_BUILD_LIMITS",
            "memory=lots",
            "TRIVET_BUILD_LIMITS has 'memory=lots', which is no limit.",
            "Write for example TRIVET_BUILD_LIMITS='time=7200 memory=8G processes=4096 disk=100G'; time is in seconds.",
        ),
        (
            "TRIVET_SECLUSION",
            "prayer",
            "TRIVET_SECLUSION is 'prayer', which is no way to confine a build.",
            "There is: namespaces, user namespaces, bubblewrap, landlock, none. Without it the strongest that works is used.",
        ),
    ],
)
def test_a_choice_that_cannot_be_read_is_an_error(
    builder: Builder, name: str, value: str, message: str, hint: str
) -> None:
    builder.caller = {**builder.caller, name: value}
    with pytest.raises(InputError) as caught:
        builder.commit(_app("true"))
    assert (caught.value.message, caught.value.hint) == (message, hint)

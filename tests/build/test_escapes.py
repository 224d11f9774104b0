"""What a build leaves in its scratch folder leads nobody out: neither its later steps nor Trivet, which is not confined."""

import json
import os
from pathlib import Path

import pytest

from support.building import APP, WAYS, Builder
from trivet.build.store import Store
from trivet.build.toolbox import find_program
from trivet.errors import InvalidFile, MachineError, StepFailed, StoreError, TrivetError
from trivet.host.sandbox import Sandbox
from trivet.model.build_plan import Tool

pytestmark = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")

_CANARY = "canary-5f1e"


def _app(*commands: str) -> dict[str, str | None]:
    return {"Procfile": "web: true\n", "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file in a folder that is nobody's business."""
    path = tmp_path / "person" / ".ssh" / "id_ed25519"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text(_CANARY)
    path.chmod(0o600)
    return path


def _everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _untouched(secret: Path) -> bool:
    return (
        [path.name for path in secret.parent.iterdir()] == ["id_ed25519"]
        and secret.read_text() == _CANARY
        and secret.stat().st_mode & 0o777 == 0o600
        and secret.parent.stat().st_mode & 0o777 == 0o700
        and secret.stat().st_nlink == 1
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("folder", ["$TMPDIR", "$HOME"])
def test_a_folder_of_the_build_replaced_by_a_link_leads_no_later_step_out(
    builder: Builder, secret: Path, folder: str, way: str
) -> None:
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    commands = (
        f"mv {folder} {folder}.old; ln -s {secret.parent} {folder}",
        f"touch {folder}/owned /tmp/owned; cat {folder}/id_ed25519 /tmp/id_ed25519; true",
    )
    with pytest.raises(StepFailed) as caught:
        builder.commit(_app(*commands))
    name = {"$TMPDIR": "tmp", "$HOME": "home"}[folder]
    assert caught.value.message == f"A command of the build put something else in the place of its folder {name!r}."
    assert caught.value.hint == (
        "A build may do in its folders what it likes, but has to leave them where they are. "
        "`trivet builds log failed` shows all the output."
    )
    assert _untouched(secret)
    assert _CANARY.encode() not in _everything_below(builder.home.root)


@pytest.mark.parametrize("place", ["bundle/app", "source", "bundle"])
def test_a_link_in_the_place_of_a_layer_takes_nothing_into_the_store(
    builder: Builder, secret: Path, place: str
) -> None:
    with pytest.raises(StepFailed, match="put something else in the place of its folder"):
        builder.commit(_app(f"cd $HOME/..; mv {place} $HOME/ || rm -rf {place}; ln -s {secret.parent} {place}; true"))
    assert _untouched(secret)
    assert _CANARY.encode() not in _everything_below(builder.home.root)


@pytest.mark.parametrize("name", ["build.log", "record", "work", "view"])
@pytest.mark.parametrize("fails", [False, True])
def test_what_trivet_writes_of_a_build_cannot_be_replaced_by_the_build(
    builder: Builder, secret: Path, name: str, *, fails: bool
) -> None:
    target = secret if name == "build.log" else secret.parent
    replace = "; ".join(f"rm -rf {up}/{name}; ln -s {target} {up}/{name}" for up in ("$HOME/..", "$HOME/../.."))
    try:
        built = builder.commit(_app(f"{replace}; {'false' if fails else 'true'}")).build
    except TrivetError:
        log = (builder.home.builds(APP) / "failed.log").read_text()
    else:
        log = (builder.home.build(built.app, built.id) / "build.log").read_text()
    assert "==> compile: running" in log
    assert _untouched(secret)
    assert _CANARY.encode() not in _everything_below(builder.home.root)


_PROJECT = '[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.9"\n'
_LOCK = """
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "x"
version = "0"
source = { virtual = "." }
"""


def test_a_link_in_the_place_of_the_list_of_components_is_not_read(builder: Builder, secret: Path) -> None:
    layer = "$HOME/../bundle/dependencies"
    links = f"ln -s {secret} $HOME/../components.json; rm -rf {layer}; ln -s {secret.parent} {layer}"
    builder.commit({**_app(links), "pyproject.toml": _PROJECT, "uv.lock": _LOCK})
    assert _untouched(secret)
    assert _CANARY.encode() not in _everything_below(builder.home.root)


def test_what_fetches_later_finds_an_empty_home(builder: Builder) -> None:
    """Nothing that a step that compiled left in its home or its temporary folder is there when another one fetches."""
    from trivet.build.scratch import make_folders, renew_folders, work_folder

    scratch = builder.home.scratch
    scratch.mkdir(parents=True)
    make_folders(scratch)
    work = work_folder(scratch)
    (work / "home" / ".gitconfig").write_text("[core]\n")
    (work / "tmp" / "git").symlink_to("/bin/true")
    (work / "uv.toml").write_text("offline = true\n")
    (work / "venv" / "bin").mkdir(parents=True)
    renew_folders(work)
    assert sorted(path.relative_to(work).as_posix() for path in work.rglob("*")) == [
        "home",
        "pyproject.toml",
        "tmp",
        "uv.toml",
    ]


@pytest.mark.parametrize("command", ["mkfifo pipe", "python3 -c 'import socket; socket.socket(1).bind(\"s\")'"])
def test_a_layer_takes_nothing_but_files_folders_and_links(builder: Builder, command: str) -> None:
    with pytest.raises(StoreError, match="The build left a socket, pipe or device behind"):
        builder.commit(_app(command))


def test_a_layer_keeps_neither_setuid_bits_nor_inodes(builder: Builder) -> None:
    """Nor does it mind names that no terminal can show."""
    odd = "a\nb\tc\x1b[31m"
    script = (
        "import os; open('set', 'w').write('x'); os.chmod('set', 0o6777); os.link('set', os.environ['HOME'] + '/kept');"
        "print(os.stat('set').st_ino);"
        f"open({odd!r}, 'w').write('odd'); open(b'\\xff\\xfe', 'w').write('odder'); os.link('set', 'again')"
    )
    built = builder.commit({**_app("python3 make.py"), "make.py": script}).build
    folder = builder.bundle(built) / "app"
    assert {path.name for path in folder.iterdir()} >= {"set", "again", odd, os.fsdecode(b"\xff\xfe")}
    assert (folder / "set").stat().st_mode & 0o7777 == 0o555
    assert (folder / "set").stat().st_ino != int(builder.told.lines[0])


def test_what_a_command_draws_on_the_terminal_is_taken_out(builder: Builder) -> None:
    builder.commit(_app("printf '\\033]0;owned\\007\\033[2Jhello\\n'"))
    assert builder.told.lines == ["hello"]


def test_the_store_takes_no_link_for_a_layer(builder: Builder, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "layer").symlink_to(secret.parent)
    with pytest.raises(StoreError):
        Store(builder.home).keep(tmp_path / "layer", "app", 0)
    assert _untouched(secret)


@pytest.mark.parametrize("asked", ["./python", "python", "tools/python", "{folder}/shop/python", "~/python"])
def test_the_python_that_an_app_asks_for_is_none_of_its_own(builder: Builder, tmp_path: Path, asked: str) -> None:
    program = f'#!/bin/sh\ntouch {tmp_path}/owned\nexec python3 "$@"\n'
    files: dict[str, str | None] = dict.fromkeys(("python", "tools/python"), program)
    wanted = asked.format(folder=tmp_path)
    builder.repository.write({**files, ".python-version": f"# ours\n{wanted}\n", "requirements.txt": ""})
    for name in files:
        (builder.repository.path / name).chmod(0o755)
    with pytest.raises(InvalidFile) as caught:
        builder.commit({"Procfile": "web: true\n"})
    assert caught.value.message == f".python-version:2: {wanted!r} is no version of Python."
    assert caught.value.hint == "Write a version such as 3.12, as `uv python pin 3.12` does."
    assert not (tmp_path / "owned").exists()


def test_a_program_on_a_relative_path_of_the_caller_is_not_run(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.repository.write({"bin/uv-not-there": f"#!/bin/sh\ntouch {tmp_path}/owned; echo 1.2.3\n"})
    (builder.repository.path / "bin/uv-not-there").chmod(0o755)
    monkeypatch.chdir(builder.repository.path)

    with pytest.raises(MachineError):
        find_program(Tool("uv-not-there"), {"PATH": f"bin:{os.defpath}"}, None, Path("/nonexistent"))
    assert not (tmp_path / "owned").exists()


def test_a_python_that_an_earlier_build_could_have_written_is_not_run(builder: Builder, tmp_path: Path) -> None:
    planted = builder.home.cache(APP) / "python"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned; echo 3.12.1\n")
    planted.chmod(0o755)
    with pytest.raises(MachineError, match="which is no program of this machine"):
        find_program(Tool("python"), {}, str(planted), Path("/nonexistent"))
    assert not (tmp_path / "owned").exists()

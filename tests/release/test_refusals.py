"""What a person reads when the database or the machine refuses."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import trivet
from trivet.errors import LedgerError, MachineError
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Draft
from trivet.release import ConfigStore, Ledger

PACKAGES = Path(trivet.__file__).parent.parent

# Run in a user namespace of its own, where a small disk can be mounted without root.
FILL_THE_DISK = """
import sys
from pathlib import Path
from trivet.errors import MachineError
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.release import ConfigStore, Ledger

home, deploy = Home(Path(sys.argv[1])), Deploy("shop", "production")
with ConfigStore(home) as store, Ledger(home) as ledger:
    store.add(deploy, Config({"KEY": "small"}))
    try:
        for number in range(100):
            store.add(deploy, Config({"KEY": str(number) * 500_000}))
    except MachineError as error:
        print(error.message, error.hint, sep="\\n")
    version = store.current(deploy).version
    print(store.add(deploy, store.at(deploy, version).config).version == version, ledger.verify().first_bad)
"""

READ_ONLY = """
import subprocess, sys
from pathlib import Path
from trivet.errors import MachineError
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.build import Build
from trivet.model.config import ConfigChange
from trivet.model.process import ProcessType
from trivet.model.release import Actor, Cause, Draft, Outcome, State
from trivet.model.source import Source
from trivet.release import ConfigStore, Ledger

def draft(deploy, version):
    source = Source("c" * 40, "t" * 40, "A subject", "Nobody", "2026-11-23T00:00:00Z", "", "/nowhere")
    types = (ProcessType("web", "serve"),)
    build = Build("b1", deploy.app, source, "procfile", "k", (), types, {}, {}, None, "2026-11-23T00:00:00.000Z", 0.0)
    return Draft(deploy, build, version, ConfigChange(), Cause.DEPLOY, "try", Actor("ada", "engine"))

home, deploy = Home(Path(sys.argv[1])), Deploy("shop", "production")
with ConfigStore(home) as store, Ledger(home) as ledger:
    version = store.add(deploy, Config({"KEY": "small"}))
    ledger.append(draft(deploy, version.version), version.config)
if sys.argv[2] == "full":
    filler = home.root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
else:
    subprocess.run(("mount", "-o", "remount,ro", home.root), check=True)
for _ in range(2):
    with Ledger(home) as ledger, ConfigStore(home) as store:
        print(*ledger.deploys(), *(record.release.name for record in ledger.records(deploy)), ledger.current(deploy))
        print(store.at(deploy, 1).config.values["KEY"], ledger.verify().first_bad)
        for write in (
            lambda: ledger.conclude(deploy, 1, Outcome(State.SUCCEEDED)),
            lambda: store.add(deploy, Config({"KEY": "other"})),
            lambda: ledger.append(draft(deploy, 1), version.config),
        ):
            try:
                write()
            except MachineError as error:
                print(error.message)
if sys.argv[2] == "full":
    filler.unlink()
    with Ledger(home) as ledger:
        ledger.conclude(deploy, 1, Outcome(State.SUCCEEDED))
        print(ledger.current(deploy).release.name)
"""


def _on_a_small_disk(disk: Path, code: str, *arguments: str) -> list[str]:
    """What the code prints that is given a disk of 2 MB of its own."""
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m none "{disk}" && exec "$@"'
    enter = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if shutil.which("unshare") is None or subprocess.run((*enter, "true"), capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own")
    done = subprocess.run(
        (*enter, sys.executable, "-c", code, disk, *arguments),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("why", "refusal", "then"),
    [
        ("full", "Cannot write {}: the disk is full.", ["v1"]),
        ("read-only", "Cannot use {}: attempt to write a readonly database.", []),
    ],
)
def test_where_nothing_can_be_written_all_can_be_read(tmp_path: Path, why: str, refusal: str, then: list[str]) -> None:
    disk = tmp_path / "disk"
    refused = [refusal.format(disk / "trivet.db")] * 3
    told = ["shop/production v1 None", "small None", *refused]
    assert _on_a_small_disk(disk, READ_ONLY, why) == [*told, *told, *then]


def test_a_table_that_somebody_dropped_is_said(home: Home, draft: Callable[..., Draft], deploy: Deploy) -> None:
    with Ledger(home) as ledger:
        ledger.append(draft(), Config())
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("DROP TABLE ledger")
    for _ in range(2):
        with pytest.raises(LedgerError) as caught:
            Ledger(home)
        assert caught.value.message == f"The database {home.database} is damaged: its table 'ledger' is gone."
        assert caught.value.hint == (
            "What runs is not touched by this. Restore the file from a backup; "
            "release.json in each release folder says what was released."
        )


def test_a_full_disk_is_said_and_nothing_is_changed(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    assert _on_a_small_disk(disk, FILL_THE_DISK) == [
        f"Cannot write {disk}/trivet.db: the disk is full.",
        "Free some space (df -h shows where) and run the command again.",
        "True None",
    ]


def test_a_file_that_is_no_database_is_said(home: Home) -> None:
    home.root.mkdir()
    home.database.write_text("not a database, but long enough to be read as the first page of one\n" * 100)
    with pytest.raises(LedgerError) as caught:
        Ledger(home)
    assert caught.value.message == f"The database {home.database} is damaged: file is not a database."
    assert caught.value.hint == (
        "What runs is not touched by this. Restore the file from a backup; "
        "release.json in each release folder says what was released."
    )


def test_a_damaged_database_is_said(home: Home, draft: Callable[..., Draft], deploy: Deploy) -> None:
    with Ledger(home) as ledger:
        for _ in range(20):
            ledger.append(draft(), Config())
    content = bytearray(home.database.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    home.database.write_bytes(bytes(content))
    with pytest.raises(LedgerError, match="is damaged"), Ledger(home) as ledger:
        ledger.entries(deploy)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError) as caught:
        ConfigStore(Home(tmp_path / "file" / "home"))
    assert caught.value.message == f"Cannot make the folder {tmp_path}/file: File exists."
    assert caught.value.hint == "Mend this on the machine and run the command again."


def test_a_database_that_is_a_folder_is_said(home: Home) -> None:
    home.database.mkdir(parents=True)
    with pytest.raises(MachineError) as caught:
        Ledger(home)
    assert caught.value.message == f"Cannot use {home.database}: unable to open database file."
    assert "set TRIVET_HOME" in caught.value.hint


def test_what_a_trigger_refuses_is_a_ledger_error(
    home: Home, store: ConfigStore, ledger: Ledger, plain_client: sqlite3.Connection, deploy: Deploy
) -> None:
    plain_client.execute("CREATE TRIGGER stop BEFORE INSERT ON config_versions BEGIN SELECT RAISE(ABORT, 'stop'); END")
    with pytest.raises(LedgerError) as caught:
        store.add(deploy, Config({"KEY": "value"}))
    assert caught.value.message == "The database refused: stop."
    assert caught.value.hint == "Nothing was changed. `trivet releases verify` checks the ledger."
    with closing(sqlite3.connect(home.database)) as other:
        assert other.execute("SELECT count(*) FROM config_versions").fetchone() == (0,)

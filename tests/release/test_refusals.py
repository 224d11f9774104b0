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
    print(store.add(deploy, store.at(deploy, version).config).version == version, ledger.verify(deploy).first_bad)
"""


def test_a_full_disk_is_said_and_nothing_is_changed(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m none "{disk}" && exec "$@"'
    enter = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if shutil.which("unshare") is None or subprocess.run((*enter, "true"), capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own")
    done = subprocess.run(
        (*enter, sys.executable, "-c", FILL_THE_DISK, disk),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"Cannot write {disk}/trivet.db: the disk is full.",
        "Nothing was changed. Free some space (df -h shows where) and run the command again.",
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

"""What `trivet releases verify` says of a ledger that somebody altered, with checkpoints from inside and outside."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.command import Done, Trivet
from trivet.model.checkpoint import Checkpoint, parse_checkpoint
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Draft, Outcome, State
from trivet.release import ConfigStore, Ledger
from trivet.release.checkpoints import sign
from trivet.release.entry import entry_hash
from trivet.release.key import public_key, signing_key
from trivet.release.merkle import NO_PEAKS, grow
from trivet.release.note import PrivateKey, parse_note, parse_private_key, parse_public_key

GOOD, BAD = Outcome(State.SUCCEEDED), Outcome(State.FAILED, "web.1 exited with 1")
HINT = "Somebody wrote to trivet.db, keys or a release folder by other means than Trivet. Restore them from a backup."


@pytest.fixture
def filled(ledger: Ledger, store: ConfigStore, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """v1 to v3. Entries: 1 v1, 2 its outcome, 3 v2, 4 its outcome, 5 v1 superseded, 6 v3, 7 it failed."""
    version = store.add(deploy, Config({"KEY": "value"}))
    for outcome in (GOOD, GOOD, BAD):
        number = ledger.append(draft(config_version=version.version), version.config).number
        ledger.conclude(deploy, number, outcome)
    return ledger


@pytest.fixture
def verify(home: Home, filled: Ledger, tmp_path: Path) -> Callable[..., Done]:
    """`trivet releases verify`, from a folder that is no app's."""
    trivet = Trivet(home.root, tmp_path)

    def run(*arguments: str) -> Done:
        return trivet.run("releases", "verify", *arguments)

    return run


def _says(done: Done, sentence: str) -> None:
    assert (done.status, done.out, done.err) == (30, "", f"error: {sentence}\nhint:  {HINT}\n")


def _tamper(home: Home, script: str, *, rewrite: bool = True) -> None:
    """The script, in a database without its triggers; then all hashes and peaks are right again, if wanted."""
    with closing(sqlite3.connect(home.database)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(script)
        peaks = NO_PEAKS
        query = "SELECT position, app, deploy, kind, number, at, body FROM ledger ORDER BY position"
        for row in connection.execute(query).fetchall() if rewrite else ():
            leaf = entry_hash(*row)
            peaks = grow(peaks, row[0] - 1, leaf)
            connection.execute("UPDATE ledger SET hash = ?, peaks = ? WHERE position = ?", (leaf, peaks, row[0]))
        connection.commit()


LIE = "UPDATE ledger SET body = replace(body, 'web.1 exited with 1', 'it was the network') WHERE position = 7"
CUT = "DELETE FROM ledger WHERE position > 5"


def _checkpoint(home: Home, deploy: Deploy, number: int) -> Path:
    return home.release(deploy, number) / "checkpoint"


def test_every_release_that_has_an_outcome_has_a_checkpoint(home: Home, filled: Ledger, deploy: Deploy) -> None:
    key = public_key(home)
    assert key is not None
    assert stat.S_IMODE((home.keys / "ledger.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700
    for number, size in ((1, 2), (2, 5), (3, 7)):
        note = parse_note(_checkpoint(home, deploy, number).read_bytes())
        assert note is not None
        assert note.text.startswith(f"{key.name}\n{size}\n")
        assert key.signed(note)


def test_a_conclusion_tells_its_checkpoint(
    home: Home, filled: Ledger, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    number = filled.append(draft(), Config()).number
    checkpoint = filled.conclude(deploy, number, GOOD)
    assert checkpoint is not None
    assert checkpoint.size == 10
    assert f"10\n{checkpoint.root}\n" in _checkpoint(home, deploy, number).read_text()


def test_the_one_that_a_killed_command_left_out_is_written_by_the_next(
    home: Home, filled: Ledger, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    for number in (2, 3):
        _checkpoint(home, deploy, number).unlink()
    assert filled.verify().fault is None
    written = filled.attest(deploy)
    assert written == filled.verify().checkpoint
    assert _checkpoint(home, deploy, 2).read_text() == _checkpoint(home, deploy, 3).read_text()
    assert filled.attest(deploy) is None
    filled.append(draft(), Config())
    assert filled.attest(deploy) is None
    assert not _checkpoint(home, deploy, 4).exists()


def test_a_whole_ledger_is_good(verify: Callable[..., Done], home: Home, filled: Ledger, deploy: Deploy) -> None:
    short = filled.verify().checkpoint.short
    assert verify().out == f"7 entries, each as it was written (ledger {short})\n"
    for kept in (short, f"ledger {short}", f"(ledger {short})", str(_checkpoint(home, deploy, 1))):
        assert verify("--checkpoint", kept).out == f"7 entries, each as it was written (ledger {short})\n"
    assert verify("--json").json() == {
        "entries": 7,
        "checkpoint": short,
        "first_bad": None,
        "app": None,
        "deploy": None,
        "release": None,
        "reason": None,
        "signed": 0,
    }


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (LIE, "entry 7 (shop/production v3): it is not what was written: its hash does not fit"),
        ("DELETE FROM ledger WHERE position = 4", "entry 4: it is missing"),
        (
            (
                "UPDATE ledger SET position = 9 WHERE position = 1; UPDATE ledger SET position = 1 WHERE position = 2;"
                "UPDATE ledger SET position = 2 WHERE position = 9"
            ),
            "entry 1 (shop/production v1): it is not what was written: its hash does not fit",
        ),
        (
            "INSERT INTO ledger SELECT 8, app, deploy, 'pinned', 2, at, body, salt, hash, peaks FROM ledger WHERE position = 5",
            "entry 8 (shop/production v2): it is not what was written: its hash does not fit",
        ),
        (CUT, "entry 6: it is missing: the checkpoint of shop/production v3 counts 7 entries"),
    ],
    ids=["changed", "removed", "reordered", "added", "cut off"],
)
def test_what_was_done_to_the_entries_is_found(
    verify: Callable[..., Done], home: Home, script: str, sentence: str
) -> None:
    _tamper(home, script, rewrite=False)
    _says(verify(), f"The ledger was altered: {sentence}.")


def test_what_is_found_is_told_to_programs(verify: Callable[..., Done], home: Home) -> None:
    _tamper(home, LIE, rewrite=False)
    done = verify("--json")
    assert done.status == 30
    assert {**done.json(), "checkpoint": ""} == {
        "app": "shop",
        "checkpoint": "",
        "deploy": "production",
        "entries": 6,
        "first_bad": 7,
        "reason": "it is not what was written: its hash does not fit",
        "signed": 0,
        "release": 3,
    }


def test_a_history_that_was_rewritten_with_all_hashes_right_is_found_by_the_checkpoints(
    verify: Callable[..., Done], home: Home
) -> None:
    _tamper(home, LIE)
    _says(
        verify(),
        "The ledger was altered: entry 6: from it to entry 7 the ledger is not the one that the checkpoint of "
        "shop/production v3 was made of.",
    )


def test_an_entry_that_was_taken_out_with_all_hashes_right_is_found_by_the_checkpoints(
    verify: Callable[..., Done], home: Home
) -> None:
    _tamper(
        home,
        "DELETE FROM ledger WHERE position = 5; UPDATE ledger SET position = 5 WHERE position = 6;"
        "UPDATE ledger SET position = 6 WHERE position = 7",
    )
    _says(
        verify(),
        "The ledger was altered: entry 3: from it to entry 5 the ledger is not the one that the checkpoint of "
        "shop/production v2 was made of.",
    )


def _sign_all(home: Home, deploy: Deploy, key: PrivateKey, ledger: Ledger) -> None:
    """All checkpoints in the release folders fit the ledger as it is now, signed with this key."""
    now = ledger.verify().checkpoint
    for number in (1, 2, 3):
        path = _checkpoint(home, deploy, number)
        path.unlink()
        path.write_text(sign(now, key))


def test_whoever_has_the_key_too_is_found_by_what_a_deploy_printed(
    verify: Callable[..., Done], home: Home, filled: Ledger, deploy: Deploy, tmp_path: Path
) -> None:
    before = filled.verify().checkpoint
    kept = tmp_path / "kept"
    kept.write_bytes(_checkpoint(home, deploy, 3).read_bytes())
    _tamper(home, LIE)
    _sign_all(home, deploy, signing_key(home), filled)
    assert verify().status == 0
    told = "The ledger was altered: entry 1: from it to entry 7 the ledger is not the one that the checkpoint {} was made of."
    _says(verify("--checkpoint", before.short), told.format(before.short))
    _says(verify("--checkpoint", str(kept)), told.format(kept))


def test_a_checkpoint_of_a_longer_ledger_tells_that_the_tail_was_cut_off(
    verify: Callable[..., Done], home: Home, filled: Ledger, deploy: Deploy
) -> None:
    before = filled.verify().checkpoint
    _checkpoint(home, deploy, 3).unlink()
    _tamper(home, CUT)
    assert verify().status == 0
    _says(
        verify("--checkpoint", before.short),
        f"The ledger was altered: entry 6: it is missing: the checkpoint {before.short} counts 7 entries.",
    )


@pytest.fixture
def other() -> PrivateKey:
    return PrivateKey("trivet/0123456789abcdef", b"s" * 32)


def test_a_checkpoint_that_another_key_signed_is_found(
    verify: Callable[..., Done], home: Home, filled: Ledger, deploy: Deploy, other: PrivateKey, tmp_path: Path
) -> None:
    own = signing_key(home)
    for name in (other.name, own.name):
        key = PrivateKey(name, other.seed)
        note = sign(filled.verify().checkpoint, key)
        (tmp_path / "given").write_text(note)
        names = f"{name}+{key.public.id.hex()}, not by this installation's, {own.name}+{own.public.id.hex()}"
        done = verify("--checkpoint", str(tmp_path / "given"))
        assert (done.status, done.out, done.err) == (
            30,
            "",
            (
                f"error: The ledger cannot be compared: the checkpoint {tmp_path / 'given'} is signed by another key, {names}.\n"
                "hint:  Either that is of another installation, or was changed, or this installation's key was exchanged.\n"
            ),
        )
        _checkpoint(home, deploy, 2).unlink()
        _checkpoint(home, deploy, 2).write_text(note)
        _says(
            verify(),
            f"The ledger was altered: the checkpoint of shop/production v2 is signed by another key, {names}.",
        )


def test_a_key_that_was_exchanged_is_found_by_the_checkpoints(
    verify: Callable[..., Done], home: Home, other: PrivateKey
) -> None:
    own = signing_key(home).public
    (home.keys / "ledger.pub").write_text(f"{other.public}\n")
    _says(
        verify(),
        "The ledger was altered: the checkpoint of shop/production v1 is signed by another key, "
        f"{own.name}+{own.id.hex()}, not by this installation's, {other.name}+{other.public.id.hex()}.",
    )
    (home.keys / "ledger.pub").unlink()
    _says(
        verify(),
        "The ledger was altered: the checkpoint of shop/production v1 is signed by another key, "
        f"{own.name}+{own.id.hex()}, and this installation has none.",
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("7\n", "6\n", "its signature does not fit"),
        ("\n\n", "\nextended\n\n", "its signature does not fit"),
        ("7\n", "07\n", "it cannot be read"),
        ("\n— ", "\n- ", "it cannot be read"),
        ("7\n", "7\r\n", "it cannot be read"),
    ],
)
def test_a_changed_checkpoint_is_found(
    verify: Callable[..., Done], home: Home, deploy: Deploy, old: str, new: str, what: str
) -> None:
    path = _checkpoint(home, deploy, 3)
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace(f"\n{old}", f"\n{new}", 1) if old[0] == "7" else text.replace(old, new, 1), newline="")
    _says(verify(), f"The ledger was altered: the checkpoint of shop/production v3 was changed: {what}.")


def test_a_checkpoint_that_was_taken_away_is_found(verify: Callable[..., Done], home: Home, deploy: Deploy) -> None:
    _checkpoint(home, deploy, 2).unlink()
    _says(verify(), "The ledger was altered: the checkpoint of shop/production v2 is missing.")


def test_what_is_no_checkpoint_is_refused(verify: Callable[..., Done], tmp_path: Path) -> None:
    done = verify("--checkpoint", "nowhere")
    assert (done.status, done.err) == (
        2,
        (
            "error: There is no checkpoint 'nowhere'.\n"
            "hint:  Name a file, or write it as a deploy prints it: --checkpoint 37:mJ2k…=\n"
        ),
    )
    (tmp_path / "text").write_text("7\n")
    done = verify("--checkpoint", str(tmp_path / "text"))
    assert (done.status, done.err) == (
        2,
        (
            f"error: {tmp_path / 'text'} holds no checkpoint.\n"
            "hint:  The file `checkpoint` in a release folder is one: https://c2sp.org/tlog-checkpoint\n"
        ),
    )


@pytest.mark.parametrize(
    "text", ["", "7", "7:", "7:abc=", "07:" + "A" * 43 + "=", "7:" + "A" * 42 + "B=", "-1:" + "A" * 43 + "="]
)
def test_a_short_form_is_read_strictly(text: str) -> None:
    assert parse_checkpoint(text) is None
    assert parse_checkpoint("7:" + "A" * 43 + "=") == Checkpoint(7, "A" * 43 + "=")


def test_a_key_is_made_once_and_never_in_anothers_place(home: Home, filled: Ledger) -> None:
    first = signing_key(home)
    assert signing_key(home) == first
    assert first.public == public_key(home)
    assert parse_private_key(first.written()) == first
    assert parse_public_key(str(first.public)) == first.public
    assert "seed" not in repr(first)
    (home.keys / "ledger.pub").unlink()
    assert signing_key(home).public == public_key(home)


def test_a_key_that_is_gone_is_said_and_stops_no_release(
    home: Home, filled: Ledger, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    (home.keys / "ledger.key").unlink()
    number = filled.append(draft(), Config()).number
    assert filled.conclude(deploy, number, GOOD) is None
    assert filled.record(deploy, number).is_good


def test_whoever_only_looks_loads_nothing_that_signs(home: Home, filled: Ledger, tmp_path: Path) -> None:
    trivet = Trivet(home.root, tmp_path, {"PYTHONPROFILEIMPORTTIME": "1"})
    loaded = trivet.ok("releases", "-a", "shop").err
    assert " trivet.release.ledger\n" in loaded
    assert {
        name for name in ("cryptography", "trivet.release.note", "trivet.release.claims") if name in loaded
    } == set()
    assert "cryptography" in trivet.ok("releases", "verify").err

"""Backups: an installation in one file while it runs, and on an empty machine again."""

import gzip
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.apps import DIES, SERVER, shop
from support.command import Trivet, fetch, own_port
from support.keys import Key
from support.repository import Repository
from support.toolchains import needs

ONLY_WEB = "web: python3 server.py\n"
STORES = SERVER.replace(
    'body = f"{VERSION}', "body = f\"{open(os.environ['TRIVET_STORAGE'] + '/note').read()} {VERSION}"
).replace(
    "server = http", "open(os.environ['TRIVET_STORAGE'] + '/note', 'a').write('kept')\nserver = http"
)  # answers with what it keeps
QUICK = 'app = "shop"\n'


def _files(version: str, **parts: str) -> dict[str, str | None]:
    return shop(version, **{"procfile": ONLY_WEB, "settings": QUICK, **parts})


def _elsewhere(trivet: Trivet, name: str = "elsewhere") -> Trivet:
    """Another machine, as it were: an empty home, and a folder that is no repository."""
    folder = trivet.home.parent / name
    folder.mkdir(exist_ok=True)
    other = Trivet(folder / "home", folder)
    other.environment = {**trivet.environment, "TRIVET_HOME": str(folder / "home")}
    return other


@dataclass(frozen=True, slots=True)
class Made:
    """A shop that was backed up, for one key, and is not running any more."""

    trivet: Trivet
    key: Key
    file: Path
    plain: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    repository = Repository(folder / "shop")
    trivet = Trivet(folder / "home", repository.path)
    repository.commit(_files("v1"), "Open")
    trivet.ok("deploy", "--port", own_port())
    trivet.ok("config", "set", "GREETING=hello")
    key, file, plain = Key(folder, "ada"), folder / "backup.age", folder / "backup.tgz"
    trivet.ok("backup", str(file), "--recipient", key.public)
    trivet.ok("backup", str(plain), "--with-keys")
    trivet.ok("down")
    return Made(trivet, key, file, plain)


def test_taken_while_the_app_serves_it_is_the_same_installation_elsewhere(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    key, file = Key(tmp_path, "ada"), tmp_path / "backup.age"
    repository.commit(_files("v1", web=STORES), "Open")
    trivet.ok("deploy", "--port", own_port())
    trivet.ok("config", "set", "GREETING=hello")
    repository.commit(_files("v2", web=DIES))
    assert trivet.run("deploy").status == 40
    trivet.ok("promote", "production", "staging")
    trivet.ok("scale", "web=2")
    trivet.ok("stop", "-d", "staging")
    told = trivet.ok("releases", "--json").out
    url = _url(trivet)
    with _Asking(url) as answers:
        done = trivet.ok("backup", str(file), "--recipient", f"{key.path}.pub", "--storage")
    assert len(answers) > 1
    assert set(answers) == {(200, "keptkeptkept v1 hello v2\n")}
    assert done.out == (
        f"{file}: {_count(done.err)} files in {_size(file)}, encrypted, with keys, with the apps' storage\n"
    )
    assert file.stat().st_mode & 0o777 == 0o600
    trivet.ok("down")

    other = _elsewhere(trivet)
    done = other.ok("restore", str(file), "--identity", str(key.path))
    lines = done.out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["DEPLOY", "RELEASE", "COMMIT", "STATE"],
        ["shop/production", "v2", _commit(repository, "HEAD~"), "ready"],
        ["shop/staging", "v1", _commit(repository, "HEAD~"), "ready"],
    ]
    assert lines[3].startswith("restored from the backup of 20")
    assert not (other.home / "restoring").exists()
    other.ok("up")
    try:
        assert fetch(url)[1].endswith(" v1 hello v2\n")
        assert set(other.pids()) == {"web.1", "web.2"}
        assert other.ok("releases", "-a", "shop", "--json").out == told
        assert other.ok("releases", "verify").status == 0
        other.ok("start", "-a", "shop", "-d", "staging")
        other.ok("rollback", "-a", "shop", "--yes")
        assert fetch(url)[1].endswith(" v1 - v4\n")
        assert other.ok("config", "-a", "shop", "--json").json() == {}
    finally:
        other.ok("down")


def _url(trivet: Trivet) -> str:
    return next(f"{each['address']}/" for each in trivet.ok("apps", "--json").json() if each["deploy"] == "production")


class _Asking:
    """Requests, one after the other, as long as the block takes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._enough = threading.Event()
        self._answers: list[tuple[int, str]] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._enough.is_set():
            self._answers.append(fetch(self._url))

    def __enter__(self) -> list[tuple[int, str]]:
        self._thread.start()
        return self._answers

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()


def _count(told: str) -> str:
    return told.split("packing ")[1].split(" ")[0]


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e3:.1f} kB"


def _commit(repository: Repository, revision: str) -> str:
    return repository.git("rev-parse", revision)[:8]


REFUSALS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut short": (lambda content: content[:-20], "it was altered or cut short"),
    "altered": (lambda content: content[:2000] + b"x" + content[2001:], "it was altered or cut short"),
    "something else": (lambda content: b"once upon a time", "it is no backup of Trivet"),
    "empty": (lambda content: b"", "it is no backup of Trivet"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_backup_that_is_not_whole_is_refused_and_nothing_is_kept(made: Made, what: str, tmp_path: Path) -> None:
    spoil, why = REFUSALS[what]
    (tmp_path / "bad").write_bytes(spoil(made.file.read_bytes()))
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    done = other.run("restore", str(tmp_path / "bad"), "--identity", str(made.key.path), "--quiet")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"error: The backup cannot be restored: {why}.\n"
        "hint:  Nothing of it was kept. Take another backup, or make this one again.\n"
    )
    assert not other.home.exists()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda content: content[:-20], "it was cut short"),
        (lambda content: content[:600] + b"xxxx" + content[604:], "what it holds does not fit its checksum"),
        (lambda content: content + b"more", "something follows on its end"),
    ],
)
def test_one_that_is_not_encrypted_is_checked_as_well(
    made: Made, spoil: Callable[[bytes], bytes], why: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_bytes(spoil(made.plain.read_bytes()))
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    done = other.run("restore", str(tmp_path / "bad"), "--quiet")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"error: The backup cannot be restored: {why}."
    assert not other.home.exists()


def test_a_wrong_identity_or_none_opens_nothing(made: Made, tmp_path: Path) -> None:
    other, eve = _elsewhere(Trivet(tmp_path / "home", tmp_path)), Key(tmp_path, "eve")
    done = other.run("restore", str(made.file), "--identity", str(eve.path))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: None of the identities opens the backup: it was made for others, or its beginning is damaged.\n"
        "hint:  Name the right file with --identity; `age-inspect`, or the first lines of the backup, tell for whom it is.\n"
    )
    done = other.run("restore", str(made.file))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: The backup is encrypted.\n"
        "hint:  Name the file of an identity that opens it: --identity ~/.ssh/id_ed25519\n"
    )
    locked = Key(tmp_path, "locked", passphrase="secret words")
    done = other.run("restore", str(made.file), "--identity", str(locked.path))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"error: {locked.path} holds no identity that opens a backup: ssh key must be decrypted first.\n"
        "hint:  Give an age identity file (AGE-SECRET-KEY-1…) or an SSH private key without a passphrase. With one: "
        f"age -d -i {locked.path} BACKUP | trivet restore -\n"
    )
    assert not other.home.exists()


def test_a_home_that_holds_something_is_left_as_it_is(made: Made) -> None:
    before = sorted(str(path) for path in made.trivet.home.rglob("*"))
    done = made.trivet.run("restore", str(made.file), "--identity", str(made.key.path))
    assert (done.status, done.out) == (2, "")
    home = made.trivet.home
    assert done.err == (
        f"error: {home} is not empty: it holds apps, cache, env, keys, layers and more.\n"
        "hint:  A backup is restored into an empty home only. Choose another with TRIVET_HOME; or, if nothing in this one is "
        f"needed: trivet down, then mv {home} {home}.old, then restore again.\n"
    )
    assert sorted(str(path) for path in made.trivet.home.rglob("*")) == before


@needs("age")
def test_the_age_command_opens_it_and_what_it_hands_on_is_restored(made: Made, tmp_path: Path) -> None:
    """An independent implementation of age, and one of tar."""
    opened = subprocess.run(("age", "-d", "-i", made.key.path, made.file), check=True, capture_output=True).stdout
    names = subprocess.run(("tar", "tz"), input=opened, check=True, capture_output=True).stdout.decode().splitlines()
    assert names[:2] == ["backup.json", "trivet.db"]
    assert [name for name in names if name.endswith("v2/release.json")]
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    (tmp_path / "opened").write_bytes(opened)
    with (tmp_path / "opened").open("rb") as file:
        process = other.start("restore", "-", stdin=file)
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "ready\n" in out


@needs("age")
def test_what_the_age_command_encrypts_is_opened(made: Made, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    subprocess.run(("age-keygen", "-o", key), check=True, capture_output=True)
    recipient = subprocess.run(("age-keygen", "-y", key), check=True, capture_output=True, text=True).stdout.strip()
    encrypt = ("age", "-r", recipient, "-o", tmp_path / "again.age", made.plain)
    subprocess.run(encrypt, check=True)
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    other.ok("restore", str(tmp_path / "again.age"), "-i", str(key))
    assert other.ok("releases", "-a", "shop", "--json").out == made.trivet.ok("releases", "--json").out


def test_one_that_is_not_encrypted_holds_neither_keys_nor_values_unless_it_is_told_to(
    made: Made, tmp_path: Path
) -> None:
    plain, home = tmp_path / "plain", made.trivet.home
    done = made.trivet.ok("backup", str(plain))
    assert done.err.endswith(
        "note     not encrypted, so without keys: to restore it, keep a copy of the folder keys elsewhere\n"
    )
    assert done.out.endswith(", not encrypted, without keys, without the apps' storage\n")
    secret = next(line for line in (home / "keys/config.key").read_text().splitlines() if line.startswith("AGE"))
    content, whole = (gzip.decompress(path.read_bytes()) for path in (plain, made.plain))
    assert secret.encode() in whole
    assert secret.encode() not in content
    assert b"hello" not in content
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    done = other.ok("restore", str(plain), "--quiet")
    assert done.err == (f"note     the backup held no keys: put yours back into {other.home}/keys before `trivet up`\n")
    refused = other.run("config", "-a", "shop", "--reveal")
    assert refused.status == 30
    assert "The key that opens the config is not there" in refused.err
    (other.home / "keys/config.key").write_bytes((home / "keys/config.key").read_bytes())
    assert other.ok("config", "get", "GREETING", "-a", "shop").out == "hello\n"


def test_who_is_notified_is_kept_as_the_keys_are(trivet: Trivet, tmp_path: Path) -> None:
    trivet.ok("config", "set", "GREETING=hello", "-a", "shop")
    trivet.ok("notify", "add", "https://hooks.example.org/let-me-in")
    told = trivet.ok("notify", "--reveal").out
    secret = trivet.ok("notify", "secret", "1").out
    plain, whole = tmp_path / "plain", tmp_path / "whole"
    trivet.ok("backup", str(plain))
    trivet.ok("backup", str(whole), "--with-keys")
    assert b"let-me-in" not in gzip.decompress(plain.read_bytes())
    other = _elsewhere(trivet)
    other.ok("restore", str(whole))
    assert (other.ok("notify", "--reveal").out, other.ok("notify", "secret", "1").out) == (told, secret)


def test_a_key_that_systemd_hands_over_is_in_an_encrypted_backup_as_a_file(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    trivet.ok("config", "set", "GREETING=hello")
    key, credentials = Key(tmp_path, "ada"), tmp_path / "credentials"
    credentials.mkdir()
    (trivet.home / "keys/config.key").rename(credentials / "trivet-config-key")
    trivet.environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    trivet.ok("backup", str(tmp_path / "backup"), "-r", key.public)
    other = _elsewhere(trivet)
    del other.environment["CREDENTIALS_DIRECTORY"]
    other.ok("restore", str(tmp_path / "backup"), "-i", str(key.path))
    assert (other.home / "keys/config.key").stat().st_mode & 0o777 == 0o600
    assert other.ok("config", "get", "GREETING", "-a", "shop").out == "hello\n"


def _spoilt(made: Made, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], path: Path) -> Path:
    """The backup with other members, written by Python's own tarfile."""
    with tarfile.open(made.plain) as whole:
        members = []
        for info in whole:
            file = whole.extractfile(info) if info.isreg() else None
            members.append((info, file.read() if file is not None else b""))
    change(members)
    with tarfile.open(path, "w:gz") as spoilt:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            spoilt.addfile(info, io.BytesIO(content))
    return path


def _info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


STORAGE = "apps/shop/deploys/production/storage"
HOSTILE: dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "a path upwards": ([(_info("../evil"), b"x")], "it holds '../evil', which no backup does"),
    "a path upwards, later": (
        [(_info(f"{STORAGE}/../../../../../../evil"), b"x")],
        f"it holds '{STORAGE}/../../../../../../evil', which no backup does",
    ),
    "an absolute path": ([(_info("/evil"), b"x")], "it holds '/evil', which no backup does"),
    "another file": ([(_info("locks/evil"), b"x")], "it holds 'locks/evil', which no backup does"),
    "a link to elsewhere": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "/etc"), b"")],
        f"it holds '{STORAGE}/a', which no backup does",
    ),
    "a link upwards": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "../x"), b"")],
        f"it holds '{STORAGE}/a', which no backup does",
    ),
    "a link down and up": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "b/../c"), b"")],
        f"it holds '{STORAGE}/a', which no backup does",
    ),
    "a file behind a link": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "b"), b""), (_info(f"{STORAGE}/a/evil"), b"x")],
        f"it holds '{STORAGE}/a' twice",
    ),
    "a link behind a link": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "."), b""), (_info(f"{STORAGE}/a/b", tarfile.SYMTYPE, "../.."), b"")],
        f"it holds '{STORAGE}/a/b', which no backup does",
    ),
    "a link in a link": (
        [(_info(f"{STORAGE}/a", tarfile.SYMTYPE, "."), b""), (_info(f"{STORAGE}/a/b", tarfile.SYMTYPE, "../x"), b"")],
        f"it holds '{STORAGE}/a/b', which lies in no folder",
    ),
    "a bundle elsewhere": (
        [(_info("apps/shop/builds/abc/bundle/app", tarfile.SYMTYPE, "/etc"), b"")],
        "it holds 'apps/shop/builds/abc/bundle/app', which no backup does",
    ),
    "a hard link": (
        [(_info(f"{STORAGE}/a", tarfile.LNKTYPE, "trivet.db"), b"")],
        f"'{STORAGE}/a' in it is neither a file, a folder nor a symbolic link",
    ),
    "a device": (
        [(_info(f"{STORAGE}/a", tarfile.CHRTYPE), b"")],
        f"'{STORAGE}/a' in it is neither a file, a folder nor a symbolic link",
    ),
    "a path twice": (
        [(_info(f"{STORAGE}/a"), b""), (_info(f"{STORAGE}/a"), b"")],
        f"it holds '{STORAGE}/a' twice",
    ),
    "a file as a folder": (
        [(_info(f"{STORAGE}/a"), b""), (_info(f"{STORAGE}/a/b"), b"")],
        f"it holds '{STORAGE}/a/b', which lies in no folder",
    ),
    "a false object": (
        [(_info(f"objects/ab/{'c' * 62}"), b"x")],
        f"objects/ab/{'c' * 62} in it is not what its name says",
    ),
    "more than it says": ([(_info(f"{STORAGE}/a"), b"x" * 200_000)], "it holds more than it says"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_backup_writes_nothing_anywhere(made: Made, what: str, tmp_path: Path) -> None:
    more, why = HOSTILE[what]

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, text = members[0]
        room = 0 if "more" in what else 10
        members[0] = (info, json.dumps({**json.loads(text), "files": 100, "size_bytes": 100_000 + room}).encode())
        members += more

    spoilt = _spoilt(made, change, tmp_path / "spoilt")
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    done = other.run("restore", str(spoilt), "--quiet")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"error: The backup cannot be restored: {why}."
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert not Path("/evil").exists()


def test_what_it_says_it_takes_has_to_be_free_on_the_disk(made: Made, tmp_path: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, text = members[0]
        members[0] = (info, json.dumps({**json.loads(text), "size_bytes": 10**18}).encode())

    spoilt = _spoilt(made, change, tmp_path / "spoilt")
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    done = other.run("restore", str(spoilt), "--quiet")
    assert done.status == 50
    assert re.fullmatch(
        rf"error: The backup takes 1000000000\.0 GB, and [0-9.]+ [GM]B are free on the disk of {other.home}\.\n"
        r"hint:  Free some space \(df -h shows where\), or set TRIVET_HOME to a folder on another disk\.\n",
        done.err,
    )
    assert not other.home.exists()


def test_a_backup_of_another_form_names_the_version_that_made_it(made: Made, tmp_path: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, text = members[0]
        members[0] = (
            info,
            json.dumps({**json.loads(text), "format": "trivet-backup-9", "tool_version": "9.1"}).encode(),
        )

    spoilt = _spoilt(made, change, tmp_path / "spoilt")
    done = _elsewhere(Trivet(tmp_path / "home", tmp_path)).run("restore", str(spoilt), "--quiet")
    assert (done.status, done.out, done.err) == (
        2,
        "",
        (
            "error: The backup has the form 'trivet-backup-9', and this Trivet knows 'trivet-backup-1'.\n"
            "hint:  Restore it with the version that made it: 9.1.\n"
        ),
    )


def test_a_backup_that_ends_early_leaves_the_one_before(made: Made, tmp_path: Path) -> None:
    target, earlier = tmp_path / "backups" / "trivet.tgz", made.plain.read_bytes()
    target.parent.mkdir()
    target.write_bytes(earlier)
    objects = made.trivet.home / "objects"
    content = os.urandom(30_000_000)
    name = hashlib.sha256(content).hexdigest()
    large = objects / name[:2] / name[2:]
    large.parent.mkdir(exist_ok=True)
    large.write_bytes(content)
    other, scratch = made.trivet.at(made.trivet.folder), tmp_path / "tmp"
    other.environment = {**made.trivet.environment, "TMPDIR": str(scratch)}
    scratch.mkdir()
    for end in (signal.SIGKILL, signal.SIGINT):
        with other.start("backup", str(target)) as command:
            assert command.stderr is not None
            for line in command.stderr:
                if "packing" in line:
                    break
            command.send_signal(end)
            _, err = command.communicate()
        assert command.returncode in (-9, 130)
        assert list(target.parent.iterdir()) == [target]
        assert target.read_bytes() == earlier
        assert list(scratch.iterdir()) == []
    assert err.endswith("error: Interrupted; nothing was changed.\nhint:  Run the command again when you are ready.\n")
    with Path("/dev/full").open("wb") as full:
        process = made.trivet.start("backup", "-", "--quiet", stdout=full)
        _, err = process.communicate()
    assert process.returncode == 50
    assert err.startswith("error: Cannot ")
    assert ": the disk is full.\n" in err
    large.unlink()
    refused = made.trivet.run("backup", "/dev/null")
    assert (refused.status, refused.err.splitlines()[-2:]) == (
        2,
        [
            "error: /dev/null is no file.",
            "hint:  Name the file that is to become the backup, or - for standard output.",
        ],
    )


def test_a_restore_that_was_killed_is_begun_anew(made: Made, tmp_path: Path) -> None:
    """Whatever it had unpacked, and whatever it had moved into place already."""
    other = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    for name in ("restoring/objects/ab/cd", "restoring/moving", "apps/shop/old", "keys/old"):
        path = other.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    other.ok("restore", str(made.plain))
    assert sorted(path.name for path in other.home.iterdir() if path.name != "keys") == [
        "apps",
        "layers",
        "objects",
        "trivet.db",
    ]
    assert not (other.home / "apps" / "shop" / "old").exists()
    assert other.ok("releases", "verify").status == 0


def test_a_build_that_is_not_whole_is_named_and_can_be_built_again(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit(_files("v1"), "Open")
    port = own_port()
    trivet.ok("deploy", "--port", port)
    damaged = max((trivet.home / "objects").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    damaged.chmod(0o644)
    damaged.write_text("rotten")
    done = trivet.ok("backup", str(tmp_path / "backup"))
    path = damaged.relative_to(trivet.home)
    assert f"note     left out {path}: it is not what its name says\n" in done.err
    trivet.ok("down")
    other = _elsewhere(trivet)
    done = other.ok("restore", str(tmp_path / "backup"))
    row = done.out.splitlines()[1]
    assert row.split()[:3] == ["shop/production", "v1", commit[:8]]
    assert row.endswith(f"its build is not whole: deploy {commit[:8]} again")
    up = other.run("up")
    assert up.status == 40
    assert "error: shop/production was not started." in up.err
    assert f"make it anew: trivet deploy {commit[:8]}" in up.err
    other.at(repository.path).ok("deploy")
    try:
        assert fetch(other.url) == (200, "v1 - v2\n")
    finally:
        other.ok("down")


def test_an_altered_ledger_is_restored_as_it_was_and_told(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(_files("v1"))
    trivet.ok("deploy")
    trivet.ok("down")
    release = trivet.home / "apps/shop/deploys/production/releases/v1/release.json"
    release.chmod(0o600)
    release.write_text(release.read_text().replace("deploy", "Deploy"))
    trivet.ok("backup", str(tmp_path / "backup"))
    other = _elsewhere(trivet)
    done = other.run("restore", str(tmp_path / "backup"), "--quiet")
    assert done.status == 30
    assert done.err.splitlines()[-2:] == [
        (
            "error: The ledger is not what was once written, and was not when the backup was made: "
            "entry 1: release.json was changed."
        ),
        "hint:  It is restored as it was, and nothing was started. `trivet releases verify` says the same.",
    ]
    assert other.run("releases", "verify").status == 30


def test_what_an_app_leaves_in_its_storage_cannot_lead_the_backup_elsewhere(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(_files("v1"))
    trivet.ok("deploy", "--port", own_port())
    storage = trivet.home / "apps/shop/deploys/production/storage"
    (storage / "deep" / "er").mkdir(parents=True)
    (storage / "deep" / "er" / "note").write_text("kept")
    (storage / "deep" / "er" / "back").symlink_to("../../deep/er/note")
    (storage / "shadow").symlink_to("/etc/shadow")
    (storage / "up").symlink_to("../run")
    (storage / "naïve \udcff\n").write_text("odd")
    os.mkfifo(storage / "pipe")
    done = trivet.ok("backup", str(tmp_path / "backup"), "--storage", "--json")
    assert {each["path"].rpartition("/")[2] for each in done.json()["left_out"]} == {"shadow", "up", "pipe"}
    other = _elsewhere(trivet)
    other.ok("restore", str(tmp_path / "backup"))
    restored = other.home / "apps/shop/deploys/production/storage"
    assert (restored / "deep" / "er" / "back").read_text() == "kept"
    assert (restored / "naïve \udcff\n").read_text() == "odd"
    assert {path.name for path in restored.iterdir()} == {"deep", "naïve \udcff\n"}
    assert restored.stat().st_mode == storage.stat().st_mode


def test_mistakes_in_what_is_to_be_backed_up_are_told(made: Made, tmp_path: Path) -> None:
    file = str(tmp_path / "backup")
    for arguments, status, why, hint in (
        (
            (file, "--recipient", "age1nobody"),
            2,
            "'age1nobody' is no recipient of a backup: invalid Bech32 encoding.",
            (
                "Give an age recipient (age1…), an SSH public key (ssh-ed25519 …), or a file of them: "
                "--recipient ~/.ssh/id_ed25519.pub"
            ),
        ),
        (
            (str(tmp_path / "no" / "folder"),),
            50,
            f"Cannot write {tmp_path}/no/folder: No such file or directory.",
            "Mend this on the machine and run the command again.",
        ),
        (
            ("-", "--json"),
            2,
            "JSON and the backup cannot both go to standard output. Name a file, or pipe it on.",
            "`trivet backup --help` shows how, with examples.",
        ),
    ):
        done = made.trivet.run("backup", *arguments, "--quiet")
        assert (done.status, done.out) == (status, "")
        assert done.err == f"error: {why}\nhint:  {hint}\n"
    nothing = _elsewhere(Trivet(tmp_path / "home", tmp_path))
    done = nothing.run("backup", file)
    assert (done.status, done.err) == (
        2,
        f"error: There is nothing to back up in {nothing.home}.\nhint:  Deploy something first, or set TRIVET_HOME.\n",
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "elsewhere"]

"""The key that config is sealed with: where it lies, how it is found, and how it is made at first use.

In age's identity file format: an identity a line, `#` begins a comment. The first is sealed with, all of them open.
"""

import os
from dataclasses import field
from enum import StrEnum
from pathlib import Path

from trivet.errors import ConfigLocked, MachineError
from trivet.host.clock import now
from trivet.host.command import Command, capture
from trivet.host.files import create_once, make_directories, refused
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.release import age

CREDENTIAL = "trivet-config-key"
_FOLDER = "CREDENTIALS_DIRECTORY"  # https://systemd.io/CREDENTIALS/
_PROGRAM = "systemd-creds"
_PATIENCE_S = 60.0  # a TPM takes its time
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOW_TO = "docs/how-to/protect-config.md"


class Keeping(StrEnum):
    """HANDED_OVER by systemd to a service; SEALED by systemd-creds, for this machine alone; a FILE like any other."""

    HANDED_OVER = "handed over"
    SEALED = "sealed"
    FILE = "file"


@frozen
class KeyPlace:
    """Where the key lies, and how it is kept there."""

    keeping: Keeping
    path: Path


@frozen
class ConfigKey:
    """The key, as it was found: its identities, which never show in a repr."""

    place: KeyPlace
    identities: tuple[str, ...] = field(repr=False)

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(age.recipient_of(identity) for identity in self.identities)


def find_place(home: Home) -> KeyPlace | None:
    """Where the key is taken from: the first of the three that is there. None: there is no key."""
    return next((place for place in _places(home) if _exists(place.path)), None)


def read_key(place: KeyPlace) -> ConfigKey:
    """The key that lies there. Raises: ConfigLocked."""
    text = _unsealed(place.path) if place.keeping is Keeping.SEALED else _read(place.path)
    lines = (line.strip() for line in text.splitlines())
    key = ConfigKey(place, tuple(line for line in lines if line and not line.startswith("#")))
    try:
        usable = bool(key.recipients)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigLocked(f"{place.path} is not a key: it holds no age identity.", hint=_put_back(place.path))
    return key


def make_key(home: Home) -> ConfigKey:
    """There is a key, in a file of its own that is on disk; if somebody has just made one, it is that. Raises: MachineError."""
    identity = age.make_identity()
    text = f"# Opens the config of this Trivet; made {now()}\n# public key: {age.recipient_of(identity)}\n{identity}\n"
    place = KeyPlace(Keeping.FILE, file_path(home))
    make_directories(home.keys, mode=0o700)
    try:
        create_once(place.path, text.encode(), mode=0o600)
    except FileExistsError:
        return read_key(place)
    return ConfigKey(place, (identity,))


def file_path(home: Home) -> Path:
    """Where the key lies if it is a file."""
    return home.keys / "config.key"


def credential_path(home: Home) -> Path:
    """Where the key lies if systemd-creds has sealed it."""
    return home.keys / "config.key.cred"


def _places(home: Home) -> tuple[KeyPlace, ...]:
    handed_over = os.environ.get(_FOLDER)
    return (
        *((KeyPlace(Keeping.HANDED_OVER, Path(handed_over) / CREDENTIAL),) if handed_over else ()),
        KeyPlace(Keeping.SEALED, credential_path(home)),
        KeyPlace(Keeping.FILE, file_path(home)),
    )


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise refused(error, f"look for {path}") from error
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise ConfigLocked(
            f"The key to the config cannot be read: {refused(error, f'read {path}').message}", hint=_put_back(path)
        ) from error


def _unsealed(path: Path) -> str:
    """What systemd-creds makes of the credential. It goes from process to process, and nowhere else."""
    user = () if os.geteuid() == 0 else ("--user",)
    argv = (_PROGRAM, *user, "decrypt", f"--name={CREDENTIAL}", str(path), "-")
    try:
        answer = capture(Command(argv, Path("/"), {"PATH": _PATH, "LANG": "C.UTF-8"}, _PATIENCE_S))
    except MachineError as error:
        raise ConfigLocked(f"{path} cannot be opened: {error.message}", hint=_put_back(path)) from error
    if answer.status != 0:
        raise ConfigLocked(
            f"{path} cannot be opened on this machine: {_last_line(answer.err)}",
            hint=f"Another machine, or another TPM, has sealed it. {_put_back(path)}",
        )
    return answer.out.decode(errors="replace")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["systemd-creds did not say why."])[-1]


def _put_back(path: Path) -> str:
    return (
        f"Put back what was there, from where you keep a copy; {_HOW_TO} says how the key may lie. What runs goes on."
    )

"""The vault: config sealed with this installation's key, and opened with it.

Beside the key lies `config.recipient`: whom config is sealed for since the first time. So another key is told from the right
one before anything is sealed with it.
"""

from pathlib import Path

from trivet.errors import ConfigLocked
from trivet.host.files import make_directories, refused, replace
from trivet.model.home import Home
from trivet.release import age
from trivet.release.config_key import ConfigKey, file_path, find_place, make_key, read_key


class Vault:
    """Seals and opens with the key of an installation, which is looked for when it is needed first."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._key: ConfigKey | None = None

    def seal(self, document: str, *, is_first: bool) -> str:
        """The document as text that only the key opens.

        `is_first` says that nothing is sealed yet, or nothing any more: then any key will do, and one is made if there is
        none. It is on disk before this returns. Raises: ConfigLocked, MachineError.
        """
        if is_first:
            place = find_place(self._home)
            self._key = make_key(self._home) if place is None else read_key(place)
            _remember(self._home, self._key)
        return age.seal(document, self.key().recipients[0])

    def open(self, sealed: str, *, name: str) -> str:
        """The document that was sealed. `name` is what it is called in an error. Raises: ConfigLocked."""
        key = self.key()
        try:
            return age.unseal(sealed, key.identities)
        except ValueError as error:
            raise ConfigLocked(
                f"{name} cannot be opened with the key in {key.place.path}: it was sealed with another, or altered since.",
                hint="`trivet releases verify` tells whether it was altered. If not, put the right key back.",
            ) from error

    def key(self) -> ConfigKey:
        """The key that config is sealed with. Raises: ConfigLocked, if it is lost, unreadable or another."""
        if self._key is None:
            place = find_place(self._home)
            if place is None:
                raise self._lost()
            key = read_key(place)
            self._check(key)
            self._key = key
        return self._key

    def _check(self, key: ConfigKey) -> None:
        known = read_recipient(self._home)
        if known is not None and known not in key.recipients:
            raise ConfigLocked(
                f"The key in {key.place.path} is not the one that the config is sealed with.",
                hint=f"Put the right one back: that of {known}. Nothing was changed, and what runs goes on.",
            )

    def _lost(self) -> ConfigLocked:
        return ConfigLocked(
            f"The key that opens the config is not there: {file_path(self._home)} is missing, and there is no credential.",
            hint="Put it back from where you keep a copy; docs/how-to/protect-config.md says where it may lie. "
            "What runs goes on. If there is no copy, the values are lost: once every app that has config is destroyed, the "
            "next `trivet config set` makes a new key.",
        )


def examine_key(home: Home) -> ConfigKey | None:
    """The key, which is the right one; None: none was needed yet. Raises: ConfigLocked, MachineError."""
    if find_place(home) is None and read_recipient(home) is None:
        return None
    return Vault(home).key()


def read_recipient(home: Home) -> str | None:
    """Whom config is sealed for; None, if nothing was sealed yet. Raises: MachineError."""
    path = _recipient_path(home)
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, f"read {path}") from error


def _recipient_path(home: Home) -> Path:
    return home.keys / "config.recipient"


def _remember(home: Home, key: ConfigKey) -> None:
    if read_recipient(home) not in key.recipients:
        make_directories(home.keys, mode=0o700)
        replace(_recipient_path(home), f"{key.recipients[0]}\n".encode(), mode=0o600)

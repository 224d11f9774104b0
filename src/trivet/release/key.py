"""The key of this installation, which signs its ledger: made when it is first needed, and never changed."""

import contextlib
import hashlib
import os
from pathlib import Path

from trivet.errors import LedgerError
from trivet.host.files import create_once, make_directories, refused
from trivet.model.home import Home
from trivet.release.note import PrivateKey, PublicKey, parse_private_key, parse_public_key

_SEED_BYTES = 32


def signing_key(home: Home) -> PrivateKey:
    """The key; it lies in the home, with its public half beside it. Raises: LedgerError, MachineError."""
    private, public = _paths(home)
    if (content := _read(private)) is None:
        if public.exists():
            raise LedgerError(
                f"The key that signs the ledger is gone: {private}.",
                hint=f"Restore it from a backup. To begin with a new one, move {public} elsewhere: what was signed "
                "until now counts as signed by another key then.",
            )
        make_directories(home.keys, mode=0o700)
        with contextlib.suppress(FileExistsError):  # somebody else made it just now
            create_once(private, f"{_new_key().written()}\n".encode(), mode=0o600)
        content = _read(private) or ""
    key = parse_private_key(content)
    if key is None:
        raise _damaged(private)
    if not public.exists():
        with contextlib.suppress(FileExistsError):
            create_once(public, f"{key.public}\n".encode())
    return key


def public_key(home: Home) -> PublicKey | None:
    """The public half; None if nothing was ever signed. Raises: LedgerError, MachineError."""
    path = _paths(home)[1]
    if (content := _read(path)) is None:
        return None
    key = parse_public_key(content)
    if key is None:
        raise _damaged(path)
    return key


def _new_key() -> PrivateKey:
    """Its name says nothing of the machine, and no other installation's key has it."""
    seed = os.urandom(_SEED_BYTES)
    public = PrivateKey("", seed).public.content
    return PrivateKey(f"trivet/{hashlib.sha256(public).hexdigest()[:16]}", seed)


def _paths(home: Home) -> tuple[Path, Path]:
    return home.keys / "ledger.key", home.keys / "ledger.pub"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").removesuffix("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, f"read {path}") from error


def _damaged(path: Path) -> LedgerError:
    return LedgerError(f"{path} is no key.", hint="Restore the file from a backup.")

"""Claims: what checkpoints say of the log, those in the release folders and one that somebody has kept elsewhere."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivet.errors import InputError
from trivet.model.checkpoint import Checkpoint, parse_checkpoint
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.verification import Fault
from trivet.release.checkpoints import Signed, parse_signed, written_form
from trivet.release.folder import CHECKPOINT_FILE, Found, read_if_there
from trivet.release.key import public_key
from trivet.release.note import PublicKey
from trivet.release.records import is_concluded


@frozen
class Claim:
    """A checkpoint and where it comes from: the folder of a deploy's release, or what somebody `gave`.

    `content` is the note that it was read from; None if it was given as nothing but size and root. `names_key` is whether
    it says that the installation's key signed it.
    """

    checkpoint: Checkpoint
    content: bytes | None
    deploy: Deploy | None
    number: int | None = None
    gave: str = ""
    names_key: bool = False

    @property
    def where(self) -> str:
        return f"the checkpoint of {self.deploy} v{self.number}" if self.deploy else f"the checkpoint {self.gave}"

    def fault(self, reason: str) -> Fault:
        """The file itself is not what it was."""
        if self.deploy is None:
            return Fault(None, f"{self.where} {reason}")
        return Fault(None, f"{self.where} {reason}", self.deploy.app, self.deploy.name, self.number)

    def signed_fault(self, key: PublicKey | None, *, is_looked_at: bool) -> str | None:
        """What is wrong with the signature; whether it fits is only asked if it is to be looked at."""
        if self.names_key and not is_looked_at:
            return None
        signed = None if self.content is None else parse_signed(self.content)
        if signed is None:
            return None
        if key is None or not _names(key, signed):
            names = ", ".join(dict.fromkeys(f"{each.name}+{each.id.hex()}" for each in signed.note.signatures))
            own = f"not by this installation's, {key.name}+{key.id.hex()}" if key else "and this installation has none"
            return f"is signed by another key, {names}, {own}"
        if is_looked_at and not key.signed(signed.note):
            return "was changed: its signature does not fit"
        return None


@frozen
class Claims:
    """The installation's key, all claims, those of the fewest entries first, and what is wrong with files that make none."""

    key: PublicKey | None
    claims: tuple[Claim, ...]
    faults: tuple[Fault, ...]

    @property
    def sizes(self) -> frozenset[int]:
        return frozenset(claim.checkpoint.size for claim in self.claims)

    def disproved(self, roots: Mapping[int, str], size: int) -> Iterator[Fault]:
        """What is wrong: with a claim, or with the log if the claim is signed. `roots` has the log's at `sizes` up to `size`.

        Each claim has to name the installation's key. That the signature fits is looked at where the log does not agree, for
        what was given, and for each deploy's newest: what agrees with a log that a newer one vouches for is no lie.
        """
        newest = {claim.deploy: claim for claim in self.claims}
        agreed = 0
        for claim in self.claims:
            checkpoint = claim.checkpoint
            agrees = roots.get(checkpoint.size) == checkpoint.root
            if reason := claim.signed_fault(self.key, is_looked_at=not agrees or claim is newest[claim.deploy]):
                yield claim.fault(reason)
            elif checkpoint.size > size:
                yield Fault(size + 1, f"it is missing: {claim.where} counts {checkpoint.size} entries")
            elif not agrees:
                yield Fault(
                    agreed + 1,
                    f"from it to entry {checkpoint.size} the ledger is not the one that {claim.where} was made of",
                )
            agreed = checkpoint.size if agrees else agreed


def read_claim(text: str) -> Claim:
    """The claim that a person gives: the path of a checkpoint file, or one as it is printed. Raises: InputError."""
    if checkpoint := parse_checkpoint(text):
        return Claim(checkpoint, None, None, gave=checkpoint.short)
    try:
        content = Path(text).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no checkpoint {text!r}.",
            hint="Name a file, or write it as a deploy prints it: --checkpoint 37:mJ2k…=",
        ) from error
    signed = parse_signed(content)
    if signed is None:
        raise InputError(
            f"{text} holds no checkpoint.",
            hint="The file `checkpoint` in a release folder is one: https://c2sp.org/tlog-checkpoint",
        )
    return Claim(signed.checkpoint, content, None, gave=text)


def gather(connection: sqlite3.Connection, home: Home, disk: Mapping[Deploy, Found], given: Claim | None) -> Claims:
    """The claims of all releases that have a folder, and the one given. Raises: LedgerError, MachineError."""
    key = public_key(home)
    form = written_form(key) if key else None
    claims = [] if given is None else [given]
    faults: list[Fault] = []
    for deploy, found in disk.items():
        folder, has_newer = home.releases(deploy), False
        for number in sorted(found.folders, reverse=True):
            content = read_if_there(f"{folder}/v{number}/{CHECKPOINT_FILE}")
            if content and (match := form.fullmatch(content) if form else None):
                has_newer = True
                checkpoint = Checkpoint(int(match[1]), match[2].decode())
                claims.append(Claim(checkpoint, content, deploy, number, names_key=True))
            elif content and (signed := parse_signed(content)):
                has_newer = True
                claims.append(Claim(signed.checkpoint, content, deploy, number))
            elif content is not None or (has_newer and is_concluded(connection, deploy, number)):
                what = "is missing" if content is None else "was changed: it cannot be read"
                faults.append(
                    Fault(None, f"the checkpoint of {deploy} v{number} {what}", deploy.app, deploy.name, number)
                )
    return Claims(key, tuple(sorted(claims, key=lambda claim: claim.checkpoint.size)), tuple(faults))


def _names(key: PublicKey, signed: Signed) -> bool:
    return signed.origin == key.name and key.claims(signed.note)

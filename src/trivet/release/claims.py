"""Claims: what checkpoints say of the log, those in the release folders and one that somebody has kept elsewhere."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trivet.errors import InputError
from trivet.model.checkpoint import Checkpoint, parse_checkpoint
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.verification import Fault
from trivet.release.checkpoints import Signed, parse_signed, read
from trivet.release.folder import CHECKPOINT_FILE, Found
from trivet.release.note import PublicKey
from trivet.release.records import is_concluded


@dataclass(frozen=True, slots=True)
class Claim:
    """A checkpoint and where it comes from; `signed` is None if it was given as nothing but size and root.

    One from a release folder has its deploy and number.
    """

    checkpoint: Checkpoint
    where: str
    signed: Signed | None = None
    deploy: Deploy | None = None
    number: int | None = None

    def fault(self, reason: str) -> Fault:
        """The file itself is not what it was."""
        if self.deploy is None:
            return Fault(None, f"{self.where} {reason}")
        return Fault(None, f"{self.where} {reason}", self.deploy.app, self.deploy.name, self.number)


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims there are, those of the fewest entries first, and what is wrong with files that make none."""

    claims: tuple[Claim, ...]
    faults: tuple[Fault, ...]

    @property
    def sizes(self) -> frozenset[int]:
        return frozenset(claim.checkpoint.size for claim in self.claims)

    def disproved(self, key: PublicKey | None, roots: Mapping[int, str], size: int) -> Iterator[Fault]:
        """What is wrong: with a claim, or with the log if the claim is signed. `roots` has the log's at `sizes` up to `size`.

        Each claim has to name the installation's key. That the signature fits is looked at where the log does not agree, for
        what was given, and for each deploy's newest: what agrees with a log that a newer one vouches for is no lie.
        """
        newest = {claim.deploy: claim for claim in self.claims}
        agreed = 0
        for claim in self.claims:
            checkpoint = claim.checkpoint
            agrees = roots.get(checkpoint.size) == checkpoint.root
            if reason := _signed_fault(claim, key, is_looked_at=not agrees or claim is newest[claim.deploy]):
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
        return Claim(checkpoint, f"the checkpoint {checkpoint.short}")
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
    return Claim(signed.checkpoint, f"the checkpoint {text}", signed)


def gather(connection: sqlite3.Connection, home: Home, disk: Mapping[Deploy, Found], given: Claim | None) -> Claims:
    """The claims of all releases that have a folder, and the one given. Raises: MachineError."""
    claims = [] if given is None else [given]
    faults: list[Fault] = []
    for deploy, found in disk.items():
        has_newer = False
        for number in sorted(found.folders, reverse=True):
            where = f"the checkpoint of {deploy} v{number}"
            content = read(home.release(deploy, number) / CHECKPOINT_FILE)
            signed = None if content is None else parse_signed(content)
            if signed is not None:
                has_newer = True
                claims.append(Claim(signed.checkpoint, where, signed, deploy, number))
            elif content is not None or (has_newer and is_concluded(connection, deploy, number)):
                reason = f"{where} {'is missing' if content is None else 'was changed: it cannot be read'}"
                faults.append(Fault(None, reason, deploy.app, deploy.name, number))
    return Claims(tuple(sorted(claims, key=lambda claim: claim.checkpoint.size)), tuple(faults))


def _signed_fault(claim: Claim, key: PublicKey | None, *, is_looked_at: bool) -> str | None:
    if claim.signed is None:
        return None
    if key is None or not key.claims(claim.signed.note) or claim.signed.origin != key.name:
        names = ", ".join(dict.fromkeys(f"{each.name}+{each.id.hex()}" for each in claim.signed.note.signatures))
        own = f"not by this installation's, {key.name}+{key.id.hex()}" if key else "and this installation has none"
        return f"is signed by another key, {names}, {own}"
    if is_looked_at and not key.signed(claim.signed.note):
        return "was changed: its signature does not fit"
    return None

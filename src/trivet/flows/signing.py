"""Signing releases: which deploys take only signed ones, the signature that is made before there is a release, whose it is.

What is signed is the body of the release's entry in the ledger: the whole release, and the digests of its files, config
among them. Reads only what the release stage and the build's record have: docs/decisions/0014-signed-releases-and-backups.md.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from trivet.errors import UnsignedRelease
from trivet.flows.installation import Installation, Progress
from trivet.flows.trust import find_signers
from trivet.host.pen import NotSigned, Pen
from trivet.host.signatures import Signer, SshKeygen
from trivet.model.build import Build
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Terms
from trivet.model.release import Record
from trivet.model.release_settings import ReleaseSettings
from trivet.model.verification import Fault
from trivet.release import SIGNATURE_FILE, Ledger, Sign

SIGNED_AS = "trivet-release"
"""The namespace of signatures: one that was made for something else is none."""

_NOBODY = Path("/dev/null")
_UNTOUCHED = "Nothing was released, and what runs was not touched."


@frozen
class Due:
    """A release that is about to be made: of the deploy, after its good release `current` (None: it has none)."""

    deploy: Deploy
    current: Record | None
    terms: Terms


def check_signed(installation: Installation, due: Due, settings: ReleaseSettings) -> None:
    """Raises: UnsignedRelease, if the release has to be signed and nobody is going to. `settings` are the new build's."""
    if due.terms.sign_with is None and _must_be_signed(installation, due, settings):
        raise UnsignedRelease(
            f"{due.deploy} takes only signed releases.",
            hint=f"Sign it: give --sign, or --sign ~/.ssh/id_ed25519 for that key. {_UNTOUCHED}",
        )


def find_sign(installation: Installation, due: Due, build: Build, progress: Progress) -> Sign | None:
    """What signs the release of this build with the person's key; None: nobody wants it signed."""
    if due.terms.sign_with is None:
        return None
    pen = Pen(due.terms.sign_with, Path.cwd(), installation.caller)
    signers = find_signers(installation.home, due.current, build)
    insists = _must_be_signed(installation, due, build.release)

    def sign(content: bytes) -> bytes:
        try:
            signature = pen.sign(content, SIGNED_AS)
        except NotSigned as error:
            raise UnsignedRelease(error.why, hint=f"{error.hint} {_UNTOUCHED}", detail=error.detail) from error
        signer = _verify(installation, content, signature, signers)
        if signer is None or (insists and signer.name is None):
            raise _not_allowed(due.deploy, signer, signers)
        progress.step("release", f"signed by {describe_signer(signer)}")
        return signature

    return sign


def find_release_signer(installation: Installation, ledger: Ledger, record: Record) -> Signer | None:
    """Who signed the release; None: nobody did. Raises: UnsignedRelease, if the signature beside it is not one of it."""
    release = record.release
    path = installation.home.release(release.deploy, release.number) / SIGNATURE_FILE
    if not path.is_file():
        return None
    content = ledger.release_entry(release.deploy, release.number).body.encode()
    signers = find_signers(installation.home, ledger.current(release.deploy), release.build)
    signer = SshKeygen(SIGNED_AS, installation.caller).verify(content, path, signers or _NOBODY)
    if signer is None:
        raise UnsignedRelease(
            f"The signature of {release.name} is none of this release: {path}.",
            hint="Somebody has changed it, or the ledger: `trivet releases verify` tells.",
        )
    return signer


def show_release_signer(installation: Installation, record: Record) -> Signer | None:
    """Who signed the release; None: nobody did. Raises: UnsignedRelease, if the signature beside it is not one of it."""
    with Ledger(installation.home) as ledger:
        return find_release_signer(installation, ledger, record)


def verify_signatures(installation: Installation) -> tuple[int, Fault | None]:
    """How many releases are signed, and the first that is not as it has to be: by a signature of it, or by any at all.

    Who may sign may change; a good signature by somebody who may not any more is no fault.
    """
    count = 0
    with Ledger(installation.home) as ledger:
        for deploy in ledger.deploys():
            for record, must in _signed_or_due(installation, ledger, deploy):
                try:
                    signer = find_release_signer(installation, ledger, record)
                except UnsignedRelease:
                    return count, _fault(ledger, record, f"{SIGNATURE_FILE} is no signature of it")
                if signer is None and must:
                    return count, _fault(ledger, record, f"it had to be signed, and {SIGNATURE_FILE} is missing")
                count += signer is not None
    return count, None


def describe_signer(signer: Signer) -> str:
    """Whom a signature is by, in words."""
    return f"{signer.name} ({signer.fingerprint})" if signer.name else f"a key that nobody listed: {signer.fingerprint}"


def _must_be_signed(installation: Installation, due: Due, settings: ReleaseSettings) -> bool:
    """As with builds, what runs decides, and only of a first release its own build."""
    if installation.home.insists_on_signed_releases(due.deploy.app).is_file():
        return True
    return due.current.release.build.release.requires_signature if due.current else settings.requires_signature


def _verify(installation: Installation, content: bytes, signature: bytes, signers: Path | None) -> Signer | None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        return SshKeygen(SIGNED_AS, installation.caller).verify(content, Path(file.name), signers or _NOBODY)


def _not_allowed(deploy: Deploy, signer: Signer | None, signers: Path | None) -> UnsignedRelease:
    key = f": {signer.fingerprint}" if signer else ""
    listed = f"{signers} lists who may." if signers else "No file lists who may: docs/how-to/sign-releases.md."
    return UnsignedRelease(
        f"{deploy} takes only releases signed by those who may, and this key may not{key}.",
        hint=f"{listed} Sign with another key: --sign FILE. {_UNTOUCHED}",
    )


def _signed_or_due(installation: Installation, ledger: Ledger, deploy: Deploy) -> Iterator[tuple[Record, bool]]:
    """The releases that are signed, and those that had to be (told by the second), oldest first."""
    signed = {int(path.parent.name[1:]) for path in installation.home.releases(deploy).glob(f"v*/{SIGNATURE_FILE}")}
    if not ledger.has_insisted_on_signatures(deploy):
        yield from ((ledger.record(deploy, number), False) for number in sorted(signed))
        return
    yield from _walk_due(reversed(ledger.records(deploy)), signed)


def _walk_due(oldest_first: Iterable[Record], signed: set[int]) -> Iterator[tuple[Record, bool]]:
    current: Record | None = None
    for record in oldest_first:
        decides = current or record
        must = decides.release.build.release.requires_signature
        if must or record.release.number in signed:
            yield record, must
        current = record if record.is_good else current


def _fault(ledger: Ledger, record: Record, reason: str) -> Fault:
    deploy, number = record.release.deploy, record.release.number
    return Fault(ledger.release_entry(deploy, number).position, reason, deploy.app, deploy.name, number)

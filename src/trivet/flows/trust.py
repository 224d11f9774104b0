"""Trust: whose signature a deploy insists on, and whether a build has it. Reads only; needs no build stage.

The commit that is being deployed has no say in it, since whoever may push could put their own key in:
docs/decisions/0006-who-may-sign.md.
"""

from pathlib import Path

from trivet.errors import SignatureError
from trivet.flows.installation import Installation
from trivet.host.files import refused
from trivet.host.signatures import Signer, SshKeygen
from trivet.model.build import Build
from trivet.model.build_document import SIGNED_AS, BuildDocument
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy
from trivet.model.release import Record
from trivet.model.statement import find_mismatches

_UNTOUCHED = "Nothing was released, and what runs was not touched."


def check_trusted(installation: Installation, deploy: Deploy, current: Record | None, build: Build) -> Signer | None:
    """Who signed the build; None if the deploy takes unsigned ones. Raises: SignatureError, MachineError.

    `current` is the deploy's good release.
    """
    signers = find_signers(installation.home, current, build)
    if signers is None:
        return None
    try:
        return find_signer(installation, build, signers)
    except SignatureError as error:
        raise SignatureError(
            f"{deploy} takes only signed builds: {error.message[:1].lower()}{error.message[1:]}",
            hint=f"{error.hint} {_UNTOUCHED}",
        ) from error


def insists_on_signature(installation: Installation, app: AppName, current: Record | None) -> bool:
    """Whether a build of the app has to be signed, whatever its own commit says."""
    candidates = [installation.home.signers(app)]
    if current is not None:
        candidates.append(installation.home.build(app, current.release.build.id) / BuildDocument.SIGNERS)
    return any(path.is_file() for path in candidates)


def find_signer(installation: Installation, build: Build, signers: Path) -> Signer:
    """Who signed the build, one of those in the file. Raises: SignatureError, InvalidDocument, MachineError."""
    folder = installation.home.build(build.app, build.id)
    signature = folder / BuildDocument.SIGNATURE
    sign = f"Sign it: trivet build {build.source.short} --sign"
    if not signature.is_file():
        raise SignatureError(f"The build {build.id} is not signed.", hint=f"{sign}. {signers} lists who may.")
    provenance = _read(folder / BuildDocument.PROVENANCE)
    signer = SshKeygen(SIGNED_AS, installation.caller).verify(provenance, signature, signers)
    if signer is None or find_mismatches(provenance, build, _read(folder / BuildDocument.BUILD)):
        raise SignatureError(
            f"The signature of the build {build.id} is none of this build: it was altered after it was signed.",
            hint="`trivet builds verify` names what was altered.",
        )
    if signer.name is None:
        raise SignatureError(
            f"The build {build.id} is signed by a key that may not: {signer.fingerprint}.",
            hint=f"{signers} lists who may. {sign}, by one of them.",
        )
    return signer


def find_signers(home: Home, current: Record | None, build: Build) -> Path | None:
    """The file that lists who may sign: the installation's, else that of what runs, else (a first deploy) the build's own."""
    running = current.release.build if current is not None else build
    candidates = (
        home.signers(build.app),
        home.build(running.app, running.id) / BuildDocument.SIGNERS,
        home.build(build.app, build.id) / BuildDocument.SIGNERS,
    )
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise refused(error, f"read {path}") from error

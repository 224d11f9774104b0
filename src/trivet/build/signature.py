"""Signature: a developer's word for a build, over its provenance, which covers every byte that runs."""

from trivet.build.record import read_beside
from trivet.errors import SignatureError
from trivet.host.files import refused, replace
from trivet.host.pen import NotSigned, Pen
from trivet.model.build import Build
from trivet.model.build_document import SIGNED_AS, BuildDocument
from trivet.model.home import Home


def sign_build(home: Home, build: Build, pen: Pen) -> None:
    """The build's provenance is signed; an earlier signature is replaced. Raises: SignatureError, BuildError, MachineError."""
    provenance = read_beside(home, build.app, build.id, BuildDocument.PROVENANCE).encode()
    try:
        signature = pen.sign(provenance, SIGNED_AS)
    except NotSigned as error:
        raise SignatureError(
            error.why, hint=f"{error.hint} The build is there, unsigned.", detail=error.detail
        ) from error
    try:
        replace(home.build(build.app, build.id) / BuildDocument.SIGNATURE, signature)
    except OSError as error:
        raise refused(error, "write the signature") from error

"""Signature: a developer's word for a build, over its provenance, which covers every byte that runs."""

from pathlib import Path

from trivet.build.record import read_beside
from trivet.build.request import Pen
from trivet.errors import SignatureError
from trivet.host.files import refused, replace
from trivet.host.git import Git
from trivet.host.signatures import SshKeygen
from trivet.model.build import Build
from trivet.model.build_document import SIGNED_AS, BuildDocument
from trivet.model.home import Home


def sign_build(home: Home, build: Build, pen: Pen) -> None:
    """The build's provenance is signed; an earlier signature is replaced. Raises: SignatureError, BuildError, MachineError."""
    provenance = read_beside(home, build.app, build.id, BuildDocument.PROVENANCE).encode()
    program = SshKeygen(SIGNED_AS, pen.caller)
    key = str(Path(pen.key).expanduser().absolute()) if pen.key else _default_key(pen, program)
    try:
        signature = program.sign(provenance, key)
    except ChildProcessError as error:
        shown = key if pen.key or not key.startswith(("ssh-", "ecdsa-", "sk-")) else " ".join(key.split()[::2])
        raise SignatureError(
            f"ssh-keygen cannot sign with {shown}.",
            hint="Name the file of an SSH key: --sign ~/.ssh/id_ed25519. If it has a passphrase, add it to the agent "
            "first: ssh-add. The build is there, unsigned.",
            detail=tuple(str(error).splitlines()),
        ) from error
    try:
        replace(home.build(build.app, build.id) / BuildDocument.SIGNATURE, signature)
    except OSError as error:
        raise refused(error, "write the signature") from error


def _default_key(pen: Pen, program: SshKeygen) -> str:
    """What git would sign with, if that is an SSH key; else the agent's first."""
    git = Git(pen.repository)
    if git.ask("config", "--get", "gpg.format").text == "ssh":
        chosen = git.ask("config", "--type=path", "--get", "user.signingKey").text
        if chosen:
            return chosen.removeprefix("key::")
    if (first := program.first_of_agent()) is not None:
        return first
    raise SignatureError(
        "There is no key to sign with: git has no SSH key as user.signingKey, and no agent has a key.",
        hint="Name one: --sign ~/.ssh/id_ed25519. Or for good: git config --global gpg.format ssh && "
        "git config --global user.signingKey ~/.ssh/id_ed25519. The build is there, unsigned.",
    )

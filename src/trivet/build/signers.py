"""Signers: who may sign what is deployed, as the commit of a build says it. Kept beside the build, for the next deploys."""

from trivet.build.source import Commit
from trivet.model.settings import FILE, Settings, invalid_setting


def read_signers(commit: Commit, settings: Settings) -> str | None:
    """The text of the app's allowed-signers file; None if it requires no signatures. Raises: InvalidFile."""
    if not settings.build.requires_signature:
        if settings.release.requires_signature:
            raise invalid_setting(
                commit.read(FILE) or "",
                ("release", "require_signature"),
                "signed releases need signed builds.",
                "Set require_signature and allowed_signers in [build] as well: who may sign is the same for both.",
            )
        return None
    path = settings.build.allowed_signers
    if path is None:
        raise invalid_setting(
            commit.read(FILE) or "",
            ("build", "require_signature"),
            "require_signature needs allowed_signers, the file that lists who may sign.",
            'Write it like this: allowed_signers = "allowed_signers". ssh-keygen(1) says what is in it.',
        )
    signers = commit.read(path)
    if signers is None:
        raise invalid_setting(
            commit.read(FILE) or "",
            ("build", "allowed_signers"),
            f"the commit has no file {path!r} in the app's folder.",
            f'Commit it: a line for each signer, such as: echo "ada@example.org $(cat ~/.ssh/id_ed25519.pub)" >> {path}',
        )
    return signers

"""Signature: a person's word for a release, over the body of its entry in the ledger, which covers its files as well."""

from collections.abc import Callable
from dataclasses import replace

from trivet.errors import Busy
from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.model.release import Release
from trivet.release.entry import ReleaseBody

Sign = Callable[[bytes], bytes]
"""Makes the signature over what it is given; raises if it cannot."""


@frozen
class Signed:
    """A release that is about to be made, as its entry will hold it, and the signature over that."""

    body: ReleaseBody
    signature: bytes

    def release_after(self, last: int) -> Release:
        """The release, which is the next one. Raises: Busy, if another one was made while this one was being signed."""
        release = self.body.release
        if release.number == last + 1:
            return release
        raise Busy(
            f"Somebody else released {release.name} of {release.deploy} while this one was being signed.",
            hint="Nothing was released. Run the command again.",
        )


def sign_body(body: ReleaseBody, sign: Sign) -> Signed:
    """The body with its signature. The salt is in no entry's body."""
    return Signed(body, sign(canonical(replace(body, env_salt="")).encode()))

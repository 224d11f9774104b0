"""Pins: releases whose builds pruning never takes."""

from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.release import Ledger


def pin_release(installation: Installation, deploy: Deploy, number: int, *, keep: bool) -> bool:
    """Pruning keeps the release's build from now on, or may take it again; whether that is new.

    Raises: UnknownRelease, NotARollbackTarget.
    """
    with Ledger(installation.home) as ledger:
        return ledger.pin(deploy, number, installation.actor, keep=keep)

"""Pins: releases whose builds pruning never takes."""

from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.model.release import Act
from trivet.release import Ledger


def pin_release(installation: Installation, deploy: Deploy, number: int, reason: str, *, keep: bool) -> bool:
    """Pruning keeps the release's build from now on, or may take it again; whether that is new.

    Raises: UnknownRelease, NotARollbackTarget.
    """
    with Ledger(installation.home) as ledger:
        act = Act(installation.actor, reason or f"{'pin' if keep else 'unpin'} v{number}")
        return ledger.pin(deploy, number, act, keep=keep)

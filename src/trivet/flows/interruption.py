"""Interruption: whoever ends a command that releases (Ctrl-C, SIGTERM, SIGHUP) is told what is true of the deploy then."""

from collections.abc import Iterator
from contextlib import contextmanager

from trivet.errors import Interrupted
from trivet.flows.installation import Installation, Progress
from trivet.flows.notify import queue
from trivet.flows.present import describe_present
from trivet.flows.settle import settle
from trivet.model.names import Deploy
from trivet.model.release import Release
from trivet.release import Ledger
from trivet.run import Machine

_AGAIN = "Run the command again when you are ready."


@contextmanager
def releasing_on(installation: Installation, deploy: Deploy, what: str, progress: Progress) -> Iterator[Ledger]:
    """The ledger, while nobody else changes the deploy. Interrupted at whatever moment, no release is left without outcome.

    Raises: Busy, if the person does not want to wait; Interrupted.
    """
    before: int | None = None
    try:
        with installation.working_on(deploy, what, progress):
            try:
                with Ledger(installation.home) as ledger:
                    before = ledger.last_number(deploy)
                    yield ledger
            except KeyboardInterrupt as interrupt:
                _settle(installation, deploy, progress)
                raise _truth(installation, deploy, before) from interrupt
    except KeyboardInterrupt as interrupt:  # the deploy was not ours yet, or all was done
        raise _truth(installation, deploy, before) from interrupt


@contextmanager
def serving(release: Release) -> Iterator[None]:
    """What happens inside the block is no part of the release any more. Raises: Interrupted, and says that it serves."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise _served(release, "The builds that nobody needs any more are pruned by the next deploy.") from interrupt


def _settle(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    machine = Machine(installation.home)
    with Ledger(installation.home) as ledger:
        if ledger.pending(deploy):
            machine.abort(deploy)
            for told in settle(ledger, machine, deploy, installation.actor):
                queue(installation, told.news, progress)


def _truth(installation: Installation, deploy: Deploy, before: int | None) -> Interrupted:
    """`before` is the number of the last release when the command began; None: it had not begun."""
    if before is None:
        return Interrupted("Interrupted; nothing was changed.", hint=_AGAIN)
    with Ledger(installation.home) as ledger:
        last = ledger.last_number(deploy)
        record = ledger.record(deploy, last) if last > before else None
    if record is None:
        return Interrupted("Interrupted; nothing was released, and nothing that runs was touched.", hint=_AGAIN)
    if record.is_good:
        return _served(record.release, "`trivet rollback` brings back the release before.")
    present = describe_present(Machine(installation.home), deploy)
    return Interrupted(f"Interrupted. {record.release.name} is recorded as failed; {present}.", hint=_AGAIN)


def _served(release: Release, hint: str) -> Interrupted:
    return Interrupted(f"Interrupted, but {release.name} had already taken over and serves now.", hint=hint)

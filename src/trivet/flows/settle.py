"""What an interrupted command left half-told is told to its end, so that no later command trips over it."""

from dataclasses import replace

from trivet.errors import InvalidDocument, TrivetError
from trivet.flows.installation import Progress
from trivet.flows.notify import News
from trivet.model.checkpoint import Checkpoint
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.release import Actor, Outcome, Release, State
from trivet.model.run import RollOut
from trivet.release import Ledger
from trivet.run import Machine

_NEVER_STARTED = "interrupted before its roll-out began"


@frozen
class Settled:
    """A release that got its outcome only now, in a sentence, and as others are to be told."""

    note: str
    news: News


def settle(ledger: Ledger, machine: Machine, deploy: Deploy, actor: Actor) -> tuple[Settled, ...]:
    """Every release of the deploy has an outcome; these got theirs only now.

    The caller holds the deploy's lock, so whoever made a pending release is gone; the run stage knows how far it came.
    """
    machine.clear_away(deploy)
    return tuple(_settle_one(ledger, machine, record.release, actor) for record in ledger.pending(deploy))


def attest(ledger: Ledger, deploy: Deploy, progress: Progress) -> Checkpoint | None:
    """Every release of the deploy that has an outcome has its checkpoint, and the newest one is returned if it was missing.

    Whoever was killed after the outcome may have left none. It stands in no release's way: a refusal is a notice.
    """
    try:
        return ledger.attest(deploy)
    except TrivetError as error:
        progress.notice(f"the ledger's checkpoint could not be written. {error.message} {error.hint}")
        return None


def outcome_of(roll_out: RollOut | None) -> Outcome:
    """What the ledger is to say of a roll-out; None: it never began."""
    if roll_out is None:
        return Outcome(State.FAILED, _NEVER_STARTED)
    state = State.SUCCEEDED if roll_out.succeeded else State.FAILED
    return Outcome(
        state,
        roll_out.reason,
        roll_out.output,
        roll_out.timings_s,
        connections=roll_out.connections,
        proof=roll_out.proof,
    )


def with_schema(machine: Machine, release: Release, outcome: Outcome) -> Outcome:
    """The outcome, and with it the marker of the schema, if the release came as far as asking for it."""
    try:
        return replace(outcome, schema=machine.schema(release.deploy, release.number))
    except InvalidDocument:
        return outcome


def _settle_one(ledger: Ledger, machine: Machine, release: Release, actor: Actor) -> Settled:
    roll_out = machine.ended(release.deploy, release.number)
    outcome = with_schema(machine, release, outcome_of(roll_out))
    ledger.conclude(release.deploy, release.number, outcome, actor=actor)
    told = "succeeded" if outcome.state is State.SUCCEEDED else f"failed: {outcome.reason}"
    note = f"an interrupted command left {release.name} without an outcome; it {told}"
    return Settled(note, News(release, outcome, address=roll_out.address if roll_out is not None else None))

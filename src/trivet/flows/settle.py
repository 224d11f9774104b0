"""What an interrupted command left half-told is told to its end, so that no later command trips over it."""

from trivet.model.names import Deploy
from trivet.model.release import Actor, Outcome, Release, State
from trivet.model.run import RollOut
from trivet.release import Ledger
from trivet.run import Machine

_NEVER_STARTED = "interrupted before its roll-out began"


def settle(ledger: Ledger, machine: Machine, deploy: Deploy, actor: Actor) -> tuple[str, ...]:
    """Every release of the deploy has an outcome; the notes say which ones got theirs only now.

    The caller holds the deploy's lock, so whoever made a pending release is gone; the run stage knows how far it came.
    """
    return tuple(_settle_one(ledger, machine, record.release, actor) for record in ledger.pending(deploy))


def outcome_of(roll_out: RollOut | None) -> Outcome:
    """What the ledger is to say of a roll-out; None: it never began."""
    if roll_out is None:
        return Outcome(State.FAILED, _NEVER_STARTED)
    state = State.SUCCEEDED if roll_out.succeeded else State.FAILED
    return Outcome(state, roll_out.reason, roll_out.output, roll_out.timings_s)


def _settle_one(ledger: Ledger, machine: Machine, release: Release, actor: Actor) -> str:
    outcome = outcome_of(machine.ended(release.deploy, release.number))
    ledger.conclude(release.deploy, release.number, outcome, actor=actor)
    told = "succeeded" if outcome.state is State.SUCCEEDED else f"failed: {outcome.reason}"
    return f"an interrupted command left {release.name} without an outcome; it {told}"

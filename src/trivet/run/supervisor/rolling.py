"""A roll-out or a restart in flight: its intent on disk before each step, and how it ended afterwards."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from trivet.errors import RollOutFailed, TrivetError
from trivet.host import files
from trivet.host.clock import now
from trivet.model.event import Event, EventKind
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.release import Act
from trivet.model.run import Address, Drain, Failure, Proof, RollOut
from trivet.run import desired, roll_outs
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor import proof
from trivet.run.supervisor.change import Deed, Parties, Report
from trivet.run.supervisor.intent import Intent, Phase
from trivet.run.supervisor.keeper import Keeper


@frozen
class Listener:
    """Who asked: told of events, then once of the end. `done` takes a value that has a JSON form.

    `by` is for the journal; what asks for a roll-out is in the ledger.
    """

    report: Report
    done: Callable[[object], None]
    refused: Callable[[TrivetError], None]
    by: Act | None = None


@frozen
class Aim:
    """What a change is to achieve: this release at this address. `before` and `address_before`: as it was.

    `recorded`: how it ends is kept in run/rollouts; else it is a restart, of what is `chosen` (None: of all).
    """

    release: int
    before: int | None
    address: Address | None
    address_before: Address | None
    recorded: bool
    chosen: str | None = None


class Rolling:
    """A roll-out or a restart in flight, its intent on disk before each step."""

    def __init__(self, keeper: Keeper, aim: Aim, listener: Listener, parties: Parties) -> None:
        self._keeper = keeper
        self._aim = aim
        self._listener = listener
        self._parties = parties
        self._timings_s: dict[str, float] = {}
        self._connections: Drain | None = None
        self._proof: Proof | None = None

    def begin(self) -> None:
        """The change is in flight."""
        keep = partial(self._keeper.part, self._aim.address)
        self._keeper.begin(
            Deed(self._parties, self._enter, self._shift, keep, self._go_back, self._prove, self._end, self._report)
        )

    def _enter(self, phase: Phase, reason: str) -> None:
        aim, parties = self._aim, self._parties.named
        intent = Intent(
            aim.release,
            aim.before,
            phase,
            aim.recorded,
            parties.starts,
            parties.drops,
            now(),
            aim.address,
            aim.address_before,
            reason,
        )
        intents.write(intent_path(self._keeper), intent)

    def _shift(self) -> None:
        keeper, number = self._keeper, self._aim.release
        commit = partial(desired.write_current, keeper.home, keeper.deploy, number)
        keeper.take_over(self._parties.starts, self._parties.drops, self._aim.address, commit)
        self._tell(EventKind.SWITCHED if self._aim.recorded else EventKind.DEPLOY_RESTARTED)

    def _go_back(self) -> None:
        keeper, before = self._keeper, self._aim.before
        keeper.go_back(self._parties, self._aim.address_before, partial(self._commit_back, before))
        self._keeper.tell(Event(now(), EventKind.SWITCHED, before, how=f"back from v{self._aim.release}"))

    def _commit_back(self, before: int | None) -> None:
        keeper = self._keeper
        if before is not None:
            desired.write_current(keeper.home, keeper.deploy, before)

    def _prove(self) -> bool:
        keeper = self._keeper
        statuses = [process.status for process in (*keeper.members.values(), *keeper.times.processes)]
        self._proof = proof.prove(keeper.home, keeper.deploy, statuses)
        return not self._proof.left

    def _report(self, event: str, facts: Mapping[str, object]) -> None:
        if event == "shifted" and self._aim.address is not None:
            facts = {**facts, "url": self._aim.address.url}
        after_s = facts.get("after_s")
        if isinstance(after_s, float):
            self._timings_s[event] = after_s  # "ready" is overwritten until the last one is
        drained, cut = facts.get("drained"), facts.get("cut")
        if isinstance(drained, int) and isinstance(cut, int):
            self._connections = Drain(drained, cut)
        self._listener.report(event, facts)

    def _end(self, failure: Failure | None) -> None:
        try:
            if failure is not None:
                self._keeper.put_back(self._aim.address_before)
        finally:
            self._tell_end(failure)

    def _tell_end(self, failure: Failure | None) -> None:
        keeper, aim = self._keeper, self._aim
        roll_out = RollOut(
            *(keeper.deploy, aim.release, failure is None),
            address=aim.address,
            timings_s=self._timings_s,
            connections=self._connections,
            proof=self._proof,
        )
        if failure is not None:
            roll_out = replace(
                roll_out, reason=failure.reason, process=failure.process, output=failure.output, address=None
            )
            self._tell(EventKind.ROLL_OUT_FAILED if aim.recorded else EventKind.RESTART_FAILED, failure.reason)
        self._record(roll_out)
        if failure is not None and not aim.recorded:
            self._listener.refused(failed(keeper.deploy, failure, touched=bool(self._parties.clears)))
        else:
            self._listener.done(roll_out)

    def _tell(self, kind: EventKind, how: str = "") -> None:
        aim = self._aim
        self._keeper.tell(Event(now(), kind, aim.release, aim.chosen, how=how, by=self._listener.by))

    def _record(self, roll_out: RollOut) -> None:
        """As far as the machine lets us: what runs, runs, and whoever asked is told in any case."""
        try:
            if self._aim.recorded:
                roll_outs.write_roll_out(self._keeper.home, roll_out)
            files.remove(intent_path(self._keeper))
            self._keeper.prune()
        except (OSError, TrivetError) as error:
            sys.stderr.write(f"trivet: {self._keeper.deploy}: {error}\n")


def failed(deploy: Deploy, failure: Failure, *, touched: bool = False) -> RollOutFailed:
    """What a person is told of a restart or a scaling that was undone. `touched`: some of what ran may have ended for it."""
    runs = "What ran before still runs" if touched else "What ran before still runs, untouched"
    return RollOutFailed(
        f"The new processes of {deploy} did not come up: {failure.reason}.",
        hint=f"{runs}. `trivet logs` shows more; mend the cause and try again.",
        detail=failure.output,
    )


def intent_path(keeper: Keeper) -> Path:
    return keeper.home.run(keeper.deploy) / "intent.json"

"""Hooks: programs of the app's repository that run around one release, and what they are told.

They are told no value of the config: docs/decisions/0013-hooks-and-notifications.md.
"""

from collections.abc import Mapping

from trivet.errors import HookFailed, TrivetError
from trivet.flows.installation import Progress
from trivet.flows.present import describe_present
from trivet.model.frozen import frozen
from trivet.model.output import HOOKS_FOLDER, Part
from trivet.model.release import Outcome, Record, Release, State
from trivet.model.run import Address
from trivet.run import Call, Machine, Ran

_LONGEST = 4096  # of a variable: what is told in full stands in the ledger


@frozen
class Hooks:
    """The hooks of one release; `before` is the good release that there was when it was made (None: there was none).

    None of them runs if they `are_skipped`.
    """

    machine: Machine
    progress: Progress
    release: Release
    before: Record | None
    are_skipped: bool = False

    def pre_release(self) -> None:
        """The hook lets the release go on, or there is none. Raises: HookFailed, RunError, MachineError."""
        ran = self._run(Part.PRE_RELEASE, {})
        if ran is None or ran.output.is_good:
            return
        name = self.release.name
        raise HookFailed(
            f"{ran.output.command} stopped {name}: it {ran.output.told}.",
            hint=f"{describe_present(self.machine, self.release.deploy)}. `trivet releases output {name}` has all that it "
            "wrote; mend what it found, and try again.",
            detail=ran.last,
        )

    def after(self, outcome: Outcome, address: Address | None) -> None:
        """The hook for this outcome has run, if there is one. What goes wrong with it is a notice, no failure."""
        is_good = outcome.state is State.SUCCEEDED
        part = Part.POST_RELEASE if is_good else Part.FAILED
        told = {
            "TRIVET_OUTCOME": outcome.state.value,
            "TRIVET_FAILURE": "" if is_good else outcome.reason,
            "TRIVET_URL": address.url if is_good and address is not None else "",
        }
        try:
            ran = self._run(part, told)
        except TrivetError as error:
            self.progress.notice(f"{HOOKS_FOLDER}/{part} was not run: {error.message}")
            return
        if ran is not None and not ran.output.is_good:
            self.progress.notice(
                f"{ran.output.command} {ran.output.told}; that changes nothing about {self.release.name} "
                f"(`trivet releases output {self.release.name}` has what it wrote)"
            )

    def _run(self, part: Part, told: Mapping[str, str]) -> Ran | None:
        if self.are_skipped or part not in self.release.build.hooks:
            return None
        self.progress.step("release", f"hook: {HOOKS_FOLDER}/{part}")
        variables = {name: value[:_LONGEST] for name, value in {**self._variables(part), **told}.items()}
        return self.machine.run_part(
            self.release.deploy, self.release.number, Call(part, variables), self.progress.output
        )

    def _variables(self, part: Part) -> Mapping[str, str]:
        before = self.before.release if self.before is not None else None
        return {
            "TRIVET_HOOK": part.value,
            "TRIVET_BUILD": self.release.build.id,
            "TRIVET_CAUSE": self.release.cause.value,
            "TRIVET_REASON": self.release.reason,
            "TRIVET_ACTOR": str(self.release.actor),
            "TRIVET_PREVIOUS": before.name if before is not None else "",
            "TRIVET_PREVIOUS_COMMIT": before.build.source.commit if before is not None else "",
        }

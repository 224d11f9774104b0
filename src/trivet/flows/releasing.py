"""From a draft to a release that serves: the second half that deploy, promote, rollback and reconfigure share."""

import os
from collections.abc import Mapping
from dataclasses import replace

from trivet.errors import Busy, MachineError, RollOutFailed, RunError, SupervisorUnreachable, TrivetError
from trivet.flows import domains, environments
from trivet.flows.hooks import Hooks
from trivet.flows.installation import Installation, Progress, refusal
from trivet.flows.notify import News, deliver, queue
from trivet.flows.present import describe_present, tell_unheld
from trivet.flows.release_command import run_release_command
from trivet.flows.schema import ask_schema
from trivet.flows.settle import attest, outcome_of, settle, with_schema
from trivet.flows.supervision import ensure_supervisor
from trivet.model.checkpoint import Checkpoint
from trivet.model.config import Config
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import runnable
from trivet.model.release import Draft, Outcome, Release, State
from trivet.model.run import Address, RollOut
from trivet.release import Ledger, Sign
from trivet.run import Machine, read_warm_s

_EVENTS = {
    "started": "{process} started, pid {pid}",
    "ready": "{process} is ready after {after_s:.2f} s",
    "shifted": "{release} has taken over after {after_s:.2f} s",
    "watching": "watching it for {for_s:g} s, with the release before kept warm",
}


@frozen
class RollOutOptions:
    """`address` moves the front door (None: where it was); `release_command` and `hooks` say whether to run the
    app's own.

    `sign` makes the release's signature (None: it has none).
    """

    address: Address | None = None
    release_command: bool = True
    hooks: bool = True
    sign: Sign | None = None


@frozen
class Released:
    """A release that took over, and where it is reached (None: it has no `web` processes).

    `processes` is how many run of it: none if the deploy `is_stopped`, or if its formation asks for none. `checkpoint` is
    the ledger's with its `outcome` (None: it could not be written).
    """

    release: Release
    address: Address | None
    processes: int
    is_stopped: bool
    outcome: Outcome
    checkpoint: Checkpoint | None = None


def prepare(installation: Installation, ledger: Ledger, deploy: Deploy, progress: Progress) -> Machine:
    """The machine stage is up and nothing of an earlier, interrupted command is open."""
    machine = Machine(installation.home)
    restored = environments.restore_all(installation)
    for notice in restored.notices:
        progress.notice(notice)
    if not ensure_supervisor(machine, installation, progress):
        _renew(machine, installation, progress)
    for told in settle(ledger, machine, deploy, installation.actor):
        progress.notice(told.note)
        queue(installation, told.news, progress)
    environments.tidy(installation, deploy)
    attest(ledger, deploy, progress)
    return machine


def _renew(machine: Machine, installation: Installation, progress: Progress) -> None:
    """A supervisor of an earlier version is replaced, if it lets itself be: the change at hand does not depend on it."""
    try:
        replaced = machine.renew(installation.by)
    except (Busy, RunError) as error:
        progress.notice(f"{error.message} {error.hint}")
    else:
        if replaced is not None:
            progress.step("run", f"the supervisor took over from the one of Trivet {replaced}; nothing was restarted")


@frozen
class Releasing:
    """One release on its way: the ledger that records it, the machine that runs it, and who is told."""

    installation: Installation
    ledger: Ledger
    machine: Machine
    progress: Progress

    def bring_into_service(self, draft: Draft, config: Config, options: RollOutOptions) -> Released:
        """The release is in the ledger, serves, and the ledger says so.

        On any failure the ledger says that instead, and what ran before still runs.
        Raises: PortTaken, AlteredLayer, InputError (TRIVET_WARM), UnsignedRelease before there is a release; HookFailed,
        ReleaseCommandFailed, RollOutFailed, Interrupted, RunError.
        """
        if any(process.has_port for process in draft.build.processes):
            self.machine.check_address(draft.deploy, options.address)
        read_warm_s(os.environ)
        self.machine.check_build(draft.build)
        before = self.ledger.current(draft.deploy)
        release = self.ledger.append(draft, config, options.sign)
        self.progress.step("release", f"{release.name}: build {release.build.id}, config c{release.config_version}")
        hooks = Hooks(self.machine, self.progress, release, before, are_skipped=not options.hooks)
        roll_out = None
        try:
            hooks.pre_release()
            if options.release_command:
                run_release_command(self.machine, release, self.progress)
            ask_schema(self.machine, release, self.progress)
            roll_out = self._roll_out(release, options.address)
            if not roll_out.succeeded:
                raise self._failed(release, roll_out)
        except SupervisorUnreachable:
            raise  # the next supervisor finishes or undoes it, and the next command says which
        except TrivetError as error:
            failed = replace(outcome_of(roll_out), reason=error.message, output=error.detail)
            self._follow_up(hooks, self._conclude(News(release, failed, before)))
            raise
        except OSError as error:
            refused = refusal(error)
            self._follow_up(hooks, self._conclude(News(release, Outcome(State.FAILED, refused.message), before)))
            raise refused from error
        self._tell_proof(roll_out)
        news = self._conclude(News(release, outcome_of(roll_out), before, roll_out.address))
        self._follow_up(hooks, news)
        return replace(self._released(release, roll_out), outcome=news.outcome, checkpoint=news.checkpoint)

    def _released(self, release: Release, roll_out: RollOut) -> Released:
        is_stopped = self.machine.is_stopped(release.deploy)
        wanted = self.machine.formation(release.deploy).processes(release.processes)
        processes = 0 if is_stopped else len(wanted)
        return Released(release, roll_out.address, processes, is_stopped, outcome_of(roll_out))

    def _recover(self, release: Release) -> RollOut:
        """How the roll-out ended although the supervisor was killed in the middle: the next one finishes or undoes it."""
        self.progress.notice("the supervisor ended in the middle of the roll-out; starting it again")
        self.machine.up()
        ended = self.machine.ended(release.deploy, release.number)
        return ended or RollOut(release.deploy, release.number, succeeded=False, reason="it never began")

    def _roll_out(self, release: Release, address: Address | None) -> RollOut:
        def report(event: str, facts: Mapping[str, object]) -> None:
            if event in _EVENTS:
                self.progress.step("run", _EVENTS[event].format(release=release.name, **facts))

        self._tell_unheld(release)
        self.ledger.begin_roll_out(release.deploy, release.number)
        try:
            return self.machine.roll_out(release.deploy, release.number, address=address, report=report)
        except SupervisorUnreachable:
            return self._recover(release)

    def _tell_proof(self, roll_out: RollOut) -> None:
        if roll_out.proof is None:
            return
        for serving in roll_out.proof.serving:
            self.progress.step("run", f"{serving.process}: process {serving.pid} answers on {serving.place}")
        if roll_out.proof.left:
            pids = ", ".join(map(str, roll_out.proof.left))
            self.progress.notice(f"of other releases these processes are left, which could not be ended: {pids}")

    def _tell_unheld(self, release: Release) -> None:
        """Limits that this machine does not enforce are told, at every roll-out."""
        means = self.machine.means()
        for process in runnable(release.processes):
            if unheld := tell_unheld(means, process):
                self.progress.notice(unheld)

    def _failed(self, release: Release, roll_out: RollOut) -> RollOutFailed:
        went_back = "shifted" in (roll_out.timings_s or {})
        present = describe_present(self.machine, release.deploy, since=release.created_at, went_back=went_back)
        return RollOutFailed(
            f"{release.name} {'failed after it had taken over' if went_back else 'did not come up'}: {roll_out.reason}.",
            hint=f"{present}. `trivet releases show {release.name}` keeps this; mend the app or its config and try again.",
            detail=roll_out.output,
        )

    def _conclude(self, news: News) -> News:
        """The ledger says what became of the release, and whoever wants to know will be told.

        Or the next command will: on a full disk what a person is to be told is how the roll-out ended.
        """
        told = replace(news, outcome=with_schema(self.machine, news.release, news.outcome))
        deploy = told.release.deploy
        try:
            checkpoint = self.ledger.conclude(deploy, told.release.number, told.outcome)
        except MachineError as error:
            self.progress.notice(
                f"what became of {told.release.name} could not be written down; the next command does it. {error.message}"
            )
            return told
        checkpoint = checkpoint or attest(self.ledger, deploy, self.progress)
        queue(self.installation, told, self.progress)
        return replace(told, checkpoint=checkpoint)

    def _follow_up(self, hooks: Hooks, news: News) -> None:
        """The hook for this outcome has run, and the notifications are sent. Nothing of it changes the outcome."""
        try:
            hooks.after(news.outcome, news.address)
            deliver(self.installation, news.release.deploy, self.progress)
            domains.follow(self.installation, news.release.deploy, self.progress.notice)
        except KeyboardInterrupt:
            self.progress.notice(
                f"interrupted after {news.release.name} had {news.outcome.state}: its hook was ended, and what it was "
                "about to send goes out with the next release"
            )
            raise

"""Planning: what a command decides before it acts, in the one way that deploy, promote, rollback and reconfigure share.

What a `Decision` says is both what a person is shown and what is carried out. It is made from a situation, again under the
deploy's lock when it is acted upon.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from trivet.errors import PlanOutdated, Quarantined, TrivetError
from trivet.flows.installation import Installation
from trivet.flows.releasing import RollOutOptions
from trivet.flows.situation import Situation
from trivet.model.build import Build
from trivet.model.config import Config, ConfigChange, ConfigVersion
from trivet.model.formation import Formation
from trivet.model.names import RELEASE_PROCESS
from trivet.model.plan import Plan, PlannedBuild, Refusal, Start
from trivet.model.process import ProcessType, compare_processes, find_process_type
from trivet.model.release import Cause, Draft, Origin
from trivet.model.run import Address
from trivet.release import ConfigStore

Check = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a person has a command act: `reason` is why, for the ledger.

    `expect` is the hash of the plan that it must still be. `again` is why a build in quarantine is released all the same.
    """

    reason: str = ""
    expect: str | None = None
    again: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be released, and how. `build` is None if nothing is; `version` the config's, None if it is not stored yet.

    `change` is what the ledger is to say of the config.
    """

    cause: Cause
    reason: str
    build: PlannedBuild | None
    config: Config
    change: ConfigChange
    version: int | None = None
    origin: Origin | None = None
    address: Address | None = None
    runs_release_command: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, the values of its config, and the errors that keep it from being carried out."""

    plan: Plan
    config: Config
    refusals: tuple[TrivetError, ...] = field(default=(), repr=False)

    def insist(self, expect: str | None) -> None:
        """The plan is the expected one, and nothing is in its way. Raises: PlanOutdated, or what is in its way."""
        if expect is not None and expect != self.plan.hash:
            raise outdated(self.plan)
        if self.refusals:
            raise self.refusals[0]


def decide(situation: Situation, proposal: Proposal, *checks: Check) -> Decision:
    """What is to be done, as things are; each check that raises is a refusal."""
    refusals = _refusals(checks)
    plan = Plan(
        deploy=situation.deploy,
        cause=proposal.cause,
        reason=proposal.reason,
        start=situation.start,
        origin=proposal.origin,
        config=proposal.change,
        config_version=proposal.version,
        address=proposal.address,
        refusals=tuple(map(_refusal, refusals)),
        notes=tuple(f"{record.release.name} was interrupted; it is settled first" for record in situation.pending),
    )
    if proposal.build is not None:
        plan = _with_release(plan, situation, proposal.build, runs_release_command=proposal.runs_release_command)
    return Decision(plan, proposal.config, refusals)


def _with_release(plan: Plan, situation: Situation, build: PlannedBuild, *, runs_release_command: bool) -> Plan:
    start, current = situation.start, situation.current
    before: tuple[ProcessType, ...] = current.release.processes if current else ()
    command = find_process_type(build.processes, RELEASE_PROCESS)
    return replace(
        plan,
        number=start.last + 1,
        build=build,
        processes=compare_processes(before, build.processes),
        starts=_running(start, build.processes),
        stops=_running(start, before),
        release_command=command.command if command else None,
        runs_release_command=command is not None and runs_release_command,
    )


def store_config(store: ConfigStore, decision: Decision) -> ConfigVersion:
    """The config that was decided is stored: under the version that the plan names, or else a new one."""
    plan = decision.plan
    if plan.config_version is None:
        return store.add(plan.deploy, decision.config)
    return ConfigVersion(plan.config_version, decision.config)


def draft(installation: Installation, plan: Plan, build: Build, config: ConfigVersion) -> Draft:
    """The release that was planned, of the build that there is by now."""
    return Draft(
        deploy=plan.deploy,
        build=build,
        config_version=config.version,
        config_change=plan.config,
        cause=plan.cause,
        reason=plan.reason,
        actor=installation.actor,
        origin=plan.origin,
    )


def options(plan: Plan) -> RollOutOptions:
    """How the planned release is to be rolled out."""
    return RollOutOptions(address=plan.address, release_command=plan.runs_release_command)


def reason(default: str, terms: Terms) -> str:
    """What the ledger says of why; a build that was in quarantine goes by the reason that was given for it, too."""
    told = terms.reason or default
    return f"{told}; again: {terms.again}" if terms.again else told


def check_quarantine(situation: Situation, build: PlannedBuild, terms: Terms) -> None:
    """Raises: Quarantined, if a rollback has left the build and nobody says why it is to be released again."""
    found = next((each for each in situation.quarantines if each.covers(build.id, build.source)), None)
    if found is None or terms.again:
        return
    left, rollback, source = found.left, found.rollback, build.source
    raise Quarantined(
        f"{source.short} {source.subject} is in quarantine in {situation.deploy}: {rollback.name} "
        f"({rollback.actor}: {rollback.reason}) left it, which was {left.name}.",
        hint=f'Release what mends it, or say why this is to be released again: --again "REASON". '
        f"`trivet rollback {left.name}` goes back to it, too. Nothing was changed.",
    )


def outdated(plan: Plan) -> PlanOutdated:
    """The error for a plan that is not the one that was expected."""
    start = plan.start
    runs = f"v{start.release} is its good release" if start.release else "it has no good release"
    return PlanOutdated(
        f"The plan for {plan.deploy} is another one now: its hash is {plan.hash}.",
        hint=f"Its newest release is v{start.last}, {runs}, its config c{start.config_version}. "
        "Look at the plan again (--plan), then give its hash. Nothing was changed.",
    )


def _running(start: Start, types: tuple[ProcessType, ...]) -> tuple[str, ...]:
    """The processes of these types that the formation has run."""
    return () if start.is_stopped else tuple(name for name, _ in Formation(start.formation).processes(types))


def _refusals(checks: tuple[Check, ...]) -> tuple[TrivetError, ...]:
    found = []
    for check in checks:
        try:
            check()
        except TrivetError as error:
            found.append(error)
    return tuple(found)


def _refusal(error: TrivetError) -> Refusal:
    return Refusal(type(error).__name__, error.exit_code, error.message, error.hint)

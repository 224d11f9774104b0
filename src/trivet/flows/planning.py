"""Planning: what a command decides before it acts, in the one way that deploy, promote, rollback and reconfigure share.

What a `Decision` says is both what a person is shown and what is carried out. It is made from a situation, again under the
deploy's lock when it is acted upon.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace

from trivet.errors import PlanOutdated, Quarantined, TrivetError
from trivet.flows.installation import Installation
from trivet.flows.releasing import RollOutOptions
from trivet.flows.situation import Situation
from trivet.model.build import Build
from trivet.model.config import Config, ConfigChange, ConfigVersion, Fate
from trivet.model.formation import Formation
from trivet.model.frozen import frozen
from trivet.model.names import RELEASE_PROCESS
from trivet.model.plan import Plan, PlannedBuild, Refusal, SchemaMove, Start, Terms
from trivet.model.process import ProcessType, compare_processes, find_process_type
from trivet.model.release import Cause, Draft, Origin
from trivet.model.run import Address
from trivet.model.source import Source
from trivet.release import ConfigStore, Sign

Check = Callable[[], object]


@frozen
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
    missing_keys: tuple[str, ...] = ()
    fates: Mapping[str, Fate] = field(default_factory=dict)
    schema: SchemaMove | None = None


@frozen
class Decision:
    """A plan, the values of its config, and the errors that keep it from being carried out."""

    plan: Plan
    config: Config
    refusals: tuple[TrivetError, ...] = field(default=(), repr=False)

    def insist(self, expect: str | None) -> None:
        """The plan is the expected one, and nothing is in its way. Raises: PlanOutdated, or what is in its way."""
        check_expected(self.plan, expect)
        if self.refusals:
            raise self.refusals[0]


def decide(situation: Situation, proposal: Proposal, *checks: Check) -> Decision:
    """What is to be done, as things are; each check that raises is a refusal."""
    refusals = find_refusals(*checks)
    plan = Plan(
        deploy=situation.deploy,
        cause=proposal.cause,
        reason=proposal.reason,
        start=situation.start,
        origin=proposal.origin,
        config=proposal.change,
        config_version=proposal.version,
        missing_keys=proposal.missing_keys,
        fates=proposal.fates,
        schema=proposal.schema,
        address=proposal.address,
        refusals=tuple(map(refusal, refusals)),
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


def options(plan: Plan, sign: Sign | None) -> RollOutOptions:
    """How the planned release is to be signed and rolled out."""
    return RollOutOptions(address=plan.address, release_command=plan.runs_release_command, sign=sign)


def reason(default: str, terms: Terms) -> str:
    """What the ledger says of why; a build that was in quarantine goes by the reason that was given for it, too."""
    told = terms.reason or default
    return f"{told}; again: {terms.again}" if terms.again else told


def check_quarantine(situation: Situation, source: Source, build_id: str | None, terms: Terms) -> None:
    """Raises: Quarantined, if a rollback has left the build (None: that of the source, which may not be made yet).

    Not if somebody says why it is to be released again.
    """
    found = next((each for each in situation.quarantines if each.covers(build_id, source)), None)
    if found is None or terms.again:
        return
    left, rollback = found.left, found.rollback
    raise Quarantined(
        f"{source.short} {source.subject} is in quarantine in {situation.deploy}: {rollback.name} "
        f"({rollback.actor}: {rollback.reason}) left it, which was {left.name}.",
        hint=f'Release what mends it, or say why this is to be released again: --again "REASON". '
        f"`trivet rollback {left.name}` goes back to it, too. Nothing was changed.",
    )


def refusal(error: TrivetError) -> Refusal:
    """The error as a plan tells of it."""
    return Refusal(type(error).__name__, error.exit_code, error.message, error.hint, error.detail)


def check_expected(plan: Plan, expect: str | None) -> None:
    """Raises: PlanOutdated, if the plan is not the one with this hash (None: any will do)."""
    if expect is None or expect == plan.hash:
        return
    start = plan.start
    serves = f"v{start.release} serves" if start.release else "no good release"
    raise PlanOutdated(
        f"The plan for {plan.deploy} is another one by now: its hash is {plan.hash}.",
        hint=f"It starts from: {serves}, v{start.last} is the newest, config c{start.config_version}. "
        "Look at it again with --plan, then give its hash. Nothing was changed.",
    )


def _running(start: Start, types: tuple[ProcessType, ...]) -> tuple[str, ...]:
    """The processes of these types that the formation has run."""
    return () if start.is_stopped else tuple(name for name, _ in Formation(start.formation).processes(types))


def find_refusals(*checks: Check) -> tuple[TrivetError, ...]:
    """The errors of those checks that raise one."""
    found = []
    for check in checks:
        try:
            check()
        except TrivetError as error:
            found.append(error)
    return tuple(found)

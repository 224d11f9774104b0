"""Rollback: a new release that names an old build and its config; the same path as a deploy, with an older input."""

from dataclasses import field, replace

from trivet.errors import LayersPruned
from trivet.flows.installation import Installation, Progress
from trivet.flows.interruption import releasing_on
from trivet.flows.planning import Decision, Proposal, decide, draft, options, reason, store_config
from trivet.flows.releasing import Released, Releasing, prepare
from trivet.flows.schema import check_move, find_move
from trivet.flows.signing import Due, check_signed, find_sign
from trivet.flows.situation import find_situation
from trivet.host.reserve import Reserve
from trivet.model.build import Build
from trivet.model.config import Config, compare, fates, roll_back
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Terms, planned
from trivet.model.release import Cause, Origin, Record
from trivet.release import ConfigStore, Ledger, check_declared, choose_rollback_target, complete
from trivet.run import Machine


@frozen
class Return:
    """Where a deploy is to go back to: the release by this `number` (None: the good one before).

    `instead` is what is to be released in place of that release's build: what was built again from its commit. To be planned
    with `rebuilds`: it is built again if it has to be. The code may meet another schema of the database than its own if that
    is what a person `accepts_schema` for. `skips_hooks`: a hook that has gone bad is no reason to stay.
    """

    deploy: Deploy
    number: int | None = None
    instead: Build | None = None
    rebuilds: bool = False
    release_command: bool = False
    accepts_schema: bool = False
    skips_hooks: bool = False
    terms: Terms = field(default_factory=Terms)


@frozen
class RollbackPlan:
    """What a rollback would do: back to the build and config of `target`. The plan is that of the target's own build."""

    decision: Decision
    target: Record


def plan_rollback(installation: Installation, back: Return) -> RollbackPlan:
    """What `rollback` would do now; nothing changes. Raises: NotARollbackTarget."""
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        return _plan(installation, ledger, store, back)


def rollback(installation: Installation, back: Return, progress: Progress) -> Released:
    """The build and config of an earlier release serve again, as a new release.

    Raises: NotARollbackTarget; LayersPruned, if the build cannot be started as it is; SchemaChanged, UnfitConfig, PlanOutdated,
    RunError.
    """
    deploy = back.deploy
    Reserve(
        installation.home.reserve
    ).give_up_if_full()  # what brings back a good release must not fail for want of room
    with releasing_on(installation, deploy, _name(back), progress) as ledger:
        return return_on(installation, ledger, back, progress)


def return_on(installation: Installation, ledger: Ledger, back: Return, progress: Progress) -> Released:
    """The same, by somebody who has the deploy to himself already. Raises: as `rollback`."""
    deploy, machine = back.deploy, prepare(installation, ledger, back.deploy, progress)
    with ConfigStore(installation.home) as store:
        agreed = _plan(installation, ledger, store, back)
    agreed.decision.insist(back.terms.expect)
    plan, build = agreed.decision.plan, back.instead or agreed.target.release.build
    with ConfigStore(installation.home) as store:
        release = draft(installation, plan, build, store_config(store, agreed.decision))
    sign = find_sign(installation, Due(deploy, ledger.current(deploy), back.terms), build, progress)
    return Releasing(installation, ledger, machine, progress).bring_into_service(
        release, agreed.decision.config, replace(options(plan, sign), hooks=not back.skips_hooks)
    )


def _plan(installation: Installation, ledger: Ledger, store: ConfigStore, back: Return) -> RollbackPlan:
    situation = find_situation(ledger, store, Machine(installation.home), back.deploy)
    present = situation.released_config
    target = _find_target(ledger, store, back, present)
    left, declarations = store.at(back.deploy, target.release.config_version), target.release.build.declarations
    wanted = roll_back(present, left.config)
    config = complete(declarations, wanted)
    move = find_move(ledger.walk(back.deploy), target)
    proposal = Proposal(
        Cause.ROLLBACK,
        reason(f"rollback to {target.release.name}", back.terms),
        replace(planned(target.release.build), hooks=() if back.skips_hooks else target.release.build.hooks),
        config,
        compare(present, config),
        left.version if config == left.config else None,
        Origin(back.deploy, target.release.number),
        runs_release_command=back.release_command,
        fates=fates(present, left.config),
        schema=move,
    )
    build = back.instead or target.release.build
    decision = decide(
        situation,
        proposal,
        lambda: check_declared(back.deploy, declarations, wanted),
        lambda: check_signed(installation, Due(back.deploy, situation.current, back.terms), build.release),
        lambda: None if back.accepts_schema else check_move(move, target),
        lambda: None if back.rebuilds else _check_layers(installation, target, build),
    )
    return RollbackPlan(decision, target)


def _find_target(ledger: Ledger, store: ConfigStore, back: Return, present: Config) -> Record:
    """The release to go back to: by default one that would change something although live keys stay as they are."""

    def content(record: Record) -> object:
        config = store.at(back.deploy, record.release.config_version).config
        return record.release.build.id, roll_back(present, config).values

    return choose_rollback_target(ledger.walk(back.deploy), back.number, content)


def _check_layers(installation: Installation, target: Record, build: Build) -> None:
    if all((installation.home.layers / layer.digest).is_dir() for layer in build.layers):
        return
    release = target.release
    raise LayersPruned(
        f"The build {build.id} of {release.name} was pruned: its layers are not on this machine any more.",
        hint=f"`trivet rollback {release.name} --rebuild` builds {build.source.short} again and compares it "
        "with what was released. `trivet releases pin` keeps a release from being pruned.",
    )


def _name(back: Return) -> str:
    return f"rollback v{back.number}" if back.number else "rollback"

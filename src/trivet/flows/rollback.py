"""Rollback: a new release that names an old build and its config; the same path as a deploy, with an older input."""

from dataclasses import dataclass

from trivet.errors import LayersPruned
from trivet.flows.installation import Installation, Progress
from trivet.flows.releasing import Released, Releasing, RollOutOptions, prepare
from trivet.model.build import Build
from trivet.model.config import Config
from trivet.model.names import Deploy
from trivet.model.release import Cause, Draft, Origin, Record
from trivet.release import ConfigStore, Ledger, ReleaseDiff, choose_rollback_target, diff


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback would do: from the running release back to the build and config of `target`.

    `instead` is what is to be released in place of the target's build: what was built again from its commit.
    """

    current: Record | None
    target: Record
    config: Config
    changes: ReleaseDiff
    instead: Build | None = None

    @property
    def build(self) -> Build:
        return self.instead or self.target.release.build


def plan_rollback(installation: Installation, deploy: Deploy, number: int | None) -> RollbackPlan:
    """What `rollback` would do now; nothing changes. Raises: NotARollbackTarget."""
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        return _plan(ledger, store, deploy, number)


def rollback(
    installation: Installation, plan: RollbackPlan, reason: str, progress: Progress, *, release_command: bool = False
) -> Released:
    """The planned build and config serve again, as a new release.

    Raises: NotARollbackTarget; LayersPruned, if the build cannot be started as it is; RunError.
    """
    deploy, number = plan.target.release.deploy, plan.target.release.number
    with installation.working_on(deploy, f"rollback v{number}", progress), Ledger(installation.home) as ledger:
        _check_layers(installation, plan)
        machine = prepare(installation, ledger, deploy, progress)
        with ConfigStore(installation.home) as store:
            agreed = _plan(ledger, store, deploy, number)
        draft = Draft(
            deploy=deploy,
            build=plan.build,
            config_version=agreed.target.release.config_version,
            config_change=agreed.changes.config,
            cause=Cause.ROLLBACK,
            reason=reason or f"rollback to v{number}",
            actor=installation.actor,
            origin=Origin(deploy, number),
        )
        options = RollOutOptions(release_command=release_command)
        return Releasing(ledger, machine, progress).bring_into_service(draft, agreed.config, options)


def _check_layers(installation: Installation, plan: RollbackPlan) -> None:
    if all((installation.home.layers / layer.digest).is_dir() for layer in plan.build.layers):
        return
    release = plan.target.release
    raise LayersPruned(
        f"The build {plan.build.id} of {release.name} was pruned: its layers are not on this machine any more.",
        hint=f"`trivet rollback {release.name} --rebuild` builds {plan.build.source.short} again and compares it "
        "with what was released. `trivet releases pin` keeps a release from being pruned.",
    )


def _plan(ledger: Ledger, store: ConfigStore, deploy: Deploy, number: int | None) -> RollbackPlan:
    target = choose_rollback_target(ledger.walk(deploy), number)
    current = ledger.current(deploy)
    old = store.at(deploy, current.release.config_version).config if current else Config()
    config = store.at(deploy, target.release.config_version).config
    return RollbackPlan(current, target, config, diff(current or target, target, old, config))

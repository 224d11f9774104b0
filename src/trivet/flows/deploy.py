"""Deploy: source → build → release → roll out."""

from dataclasses import dataclass

from trivet.errors import MachineError
from trivet.flows.build import BuildChoice, build
from trivet.flows.installation import Installation, Progress
from trivet.flows.present import check_types_kept
from trivet.flows.prune import prune_after_deploy
from trivet.flows.releasing import Released, Releasing, RollOutOptions, prepare
from trivet.flows.trust import check_trusted
from trivet.model.build import Build
from trivet.model.config import Config, compare
from trivet.model.names import Deploy
from trivet.model.process import runnable
from trivet.model.release import Cause, Draft
from trivet.model.run import Address
from trivet.model.settings import Settings
from trivet.release import ConfigStore, Ledger
from trivet.run import Machine

DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DeployChoice:
    """What a person asked for beyond the build: why, and where the deploy is to be reached."""

    reason: str = ""
    host: str | None = None
    port: int | None = None


def deploy(
    installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice, progress: Progress
) -> Released:
    """The commit serves in the deploy, as a new release.

    Raises: whatever ended it; then what ran before runs on, and nothing was released if the build failed.
    """
    released = _deploy(installation, target, source, choice, progress)
    prune_after_deploy(installation, progress)
    return released


def _deploy(
    installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice, progress: Progress
) -> Released:
    with installation.working_on(target, f"deploy {source.revision}", progress), Ledger(installation.home) as ledger:
        built = build(installation, target.app, source, progress)
        _refuse_image(built.build)
        machine = prepare(installation, ledger, target, progress)
        with ConfigStore(installation.home) as store:
            stored = store.current(target)
        current = ledger.current(target)
        if signer := check_trusted(installation, target, current, built.build):
            progress.step("build", f"{built.build.id}: signed by {signer.name} ({signer.fingerprint})")
        if current is not None:
            check_types_kept(machine, target, current.release.processes, built.build.processes)
        old = stored.config if current else Config()
        draft = Draft(
            deploy=target,
            build=built.build,
            config_version=stored.version,
            config_change=compare(old, stored.config),
            cause=Cause.DEPLOY,
            reason=choice.reason or f"deploy {built.build.source.short} {built.build.source.subject}",
            actor=installation.actor,
        )
        options = RollOutOptions(address=_address(target, choice, built.settings))
        released = Releasing(ledger, machine, progress).bring_into_service(draft, stored.config, options)
        if current is None:
            _tell_what_waits(machine, released, progress)
        return released


def _refuse_image(build: Build) -> None:
    if build.is_image:
        raise MachineError(
            f"The build {build.id} is a container image, and this machine's engine starts processes, not images.",
            hint="The image is kept: docs/how-to/docker-images.md says how to take it to an engine. To deploy the app here, "
            'have it built otherwise: `builder = "procfile"` in trivet.toml, [build], for example.',
        )


def _tell_what_waits(machine: Machine, released: Released, progress: Progress) -> None:
    formation = machine.formation(released.release.deploy)
    for process in runnable(released.release.processes):
        if not formation.count(process.name):
            progress.notice(f"no {process.name} process runs yet: trivet scale {process.name}=1 starts one")


def _address(target: Deploy, choice: DeployChoice, settings: Settings) -> Address | None:
    chosen = settings.deploys.get(target.name)
    port = choice.port or (chosen.port if chosen else None)
    host = choice.host or (chosen.host if chosen else None)
    if port is None and host is None:
        return None
    return Address(host or DEFAULT_HOST, port or 0)

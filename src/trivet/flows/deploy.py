"""Deploy: source → build → release → roll out."""

from dataclasses import dataclass, field

from trivet.build import read_settings
from trivet.errors import MachineError
from trivet.flows.build import BuildChoice, build
from trivet.flows.installation import Installation, Progress
from trivet.flows.planning import (
    Decision,
    Proposal,
    Terms,
    check_quarantine,
    decide,
    draft,
    options,
    reason,
    store_config,
)
from trivet.flows.present import check_types_kept
from trivet.flows.prune import prune_after_deploy
from trivet.flows.releasing import Released, Releasing, prepare
from trivet.flows.situation import Situation, find_situation
from trivet.flows.trust import check_trusted
from trivet.model.build import Build
from trivet.model.config import compare
from trivet.model.names import Deploy
from trivet.model.plan import PlannedBuild, planned
from trivet.model.process import runnable
from trivet.model.release import Cause
from trivet.model.run import Address
from trivet.model.settings import Settings
from trivet.release import ConfigStore, Ledger, check_declared, complete
from trivet.run import Machine

DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DeployChoice:
    """What a person asked for beyond the build: on what terms, and where the deploy is to be reached."""

    terms: Terms = field(default_factory=Terms)
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
        _check_config_early(installation, ledger, target, source)
        built = build(installation, target.app, source, progress)
        _refuse_image(built.build)
        machine = prepare(installation, ledger, target, progress)
        with ConfigStore(installation.home) as store:
            situation = find_situation(ledger, store, machine, target)
        decision = _decide(
            installation, situation, Candidate(planned(built.build), built.settings, built.build), choice
        )
        decision.insist(choice.terms.expect)
        if signer := check_trusted(installation, target, situation.current, built.build):
            progress.step("build", f"{built.build.id}: signed by {signer.name} ({signer.fingerprint})")
        with ConfigStore(installation.home) as store:
            release = draft(installation, decision.plan, built.build, store_config(store, decision))
        releasing = Releasing(installation, ledger, machine, progress)
        released = releasing.bring_into_service(release, decision.config, options(decision.plan))
        if situation.current is None:
            _tell_what_waits(machine, released, progress)
        return released


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be released: the build as far as it is known (`made`: it is there), and what its `trivet.toml` says."""

    build: PlannedBuild
    settings: Settings
    made: Build | None = None


def _decide(installation: Installation, situation: Situation, candidate: Candidate, choice: DeployChoice) -> Decision:
    target, current, new = situation.deploy, situation.current, candidate.build
    source, made = new.source, candidate.made
    stored, declarations = situation.config, candidate.settings.config
    config = complete(declarations, stored.config)
    proposal = Proposal(
        Cause.DEPLOY,
        reason(f"deploy {source.short} {source.subject}", choice.terms),
        new,
        config,
        compare(situation.released_config, config),
        stored.version if config == stored.config else None,
        address=_address(target, choice, candidate.settings),
    )
    before = current.release.processes if current else ()
    machine = Machine(installation.home)
    return decide(
        situation,
        proposal,
        lambda: check_declared(target, declarations, stored.config),
        lambda: check_quarantine(situation, new, choice.terms),
        lambda: check_trusted(installation, target, current, made) if made else None,
        lambda: check_types_kept(machine, target, before, new.processes),
    )


def _check_config_early(installation: Installation, ledger: Ledger, target: Deploy, source: BuildChoice) -> None:
    """Raises: UnfitConfig, if the deploy's config lacks what the commit declares: nobody should wait for a build first.

    While an interrupted command's release has no outcome, nobody can tell yet which config is current.
    """
    if not ledger.pending(target):
        settings = read_settings(source.repository, source.revision, source.directory)
        with ConfigStore(installation.home) as store:
            check_declared(target, settings.config, store.current(target).config)


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

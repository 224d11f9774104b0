"""Deploy: source → build → release → roll out."""

from dataclasses import field, replace

from trivet.build import read_settings
from trivet.errors import MachineError
from trivet.flows.build import BuildChoice, build, find_source, foresee
from trivet.flows.installation import Installation, Progress
from trivet.flows.interruption import releasing_on, serving
from trivet.flows.planning import (
    Decision,
    Proposal,
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
from trivet.flows.signing import Due, check_signed, find_sign
from trivet.flows.situation import Situation, find_situation, read_situation
from trivet.flows.trust import check_trusted, insists_on_signature
from trivet.flows.watching import Watch, keep_watch
from trivet.model.build import Build
from trivet.model.config import compare
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import PlannedBuild, Terms, planned
from trivet.model.process import runnable
from trivet.model.release import Cause
from trivet.model.run import Address
from trivet.model.settings import DeploySettings, Settings
from trivet.release import ConfigStore, check_declared, complete
from trivet.run import Machine

DEFAULT_HOST = "127.0.0.1"
_TO_BE_SIGNED = "it takes only signed builds; whether this one is signed by one who may is checked once it is there"


@frozen
class DeployChoice:
    """What a person asked for beyond the build: on what terms, and where the deploy is to be reached.

    `watch_s` is how long the release is watched once it serves (None: as `trivet.toml` says).
    """

    terms: Terms = field(default_factory=Terms)
    host: str | None = None
    port: int | None = None
    watch_s: float | None = None


def deploy(
    installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice, progress: Progress
) -> Released:
    """The commit serves in the deploy, as a new release.

    Raises: whatever ended it; then what ran before runs on, and nothing was released if the build failed.
    """
    released = _deploy(installation, target, source, choice, progress)
    with serving(released.release):
        prune_after_deploy(installation, progress)
    return released


def plan_deploy(installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice) -> Decision:
    """What `deploy` would do now; nothing changes, and nothing is built. Raises: BuildError, InputError, MachineError."""
    foreseen = foresee(installation, target.app, source)
    situation = read_situation(installation, target)
    candidate = Candidate(foreseen.build, foreseen.settings, foreseen.made)
    decision = _decide(installation, situation, candidate, choice)
    unsigned = (
        foreseen.made is None
        and source.sign_with is None
        and insists_on_signature(installation, target.app, situation.current)
    )
    notes = (*decision.plan.notes, *foreseen.notices, *((_TO_BE_SIGNED,) if unsigned else ()))
    return replace(decision, plan=replace(decision.plan, notes=notes))


def _refuse_early(installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice) -> None:
    """What can be known before anything is built is refused before: nobody should wait for a build first.

    While an interrupted command's release has no outcome, nobody can tell yet which release and config are current.
    Raises: PlanOutdated, UnfitConfig, Quarantined, BuildError.
    """
    if choice.terms.expect is not None:
        plan_deploy(installation, target, source, choice).insist(choice.terms.expect)
        return
    situation = read_situation(installation, target)
    if not situation.pending:
        settings = read_settings(source.repository, source.revision, source.directory)
        check_declared(target, settings.config, situation.config.config)
        check_signed(installation, Due(target, situation.current, choice.terms), settings.release)
        if situation.quarantines:
            check_quarantine(situation, find_source(installation, target.app, source), None, choice.terms)


def _deploy(
    installation: Installation, target: Deploy, source: BuildChoice, choice: DeployChoice, progress: Progress
) -> Released:
    with releasing_on(installation, target, f"deploy {source.revision}", progress) as ledger:
        _refuse_early(installation, target, source, choice)
        built = build(installation, target.app, source, progress)
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
        sign = find_sign(installation, Due(target, situation.current, choice.terms), built.build, progress)
        released = releasing.bring_into_service(release, decision.config, options(decision.plan, sign))
        if situation.current is None:
            _tell_what_waits(machine, released, progress)
        if (seconds := _watch_s(target, choice, built.settings)) and released.processes:
            keep_watch(installation, ledger, Watch(released.release, seconds), progress)
        return released


@frozen
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
        lambda: _refuse_image(new),
        lambda: check_declared(target, declarations, stored.config),
        lambda: check_quarantine(situation, source, new.id, choice.terms),
        lambda: check_trusted(installation, target, current, made) if made else None,
        lambda: check_signed(installation, Due(target, current, choice.terms), candidate.settings.release),
        lambda: check_types_kept(machine, target, before, new.processes),
    )


def _refuse_image(build: PlannedBuild) -> None:
    if build.is_image:
        name = build.id or f"of {build.source.short}"
        raise MachineError(
            f"The build {name} is a container image, and this machine's engine starts processes, not images.",
            hint="The image is kept: docs/how-to/docker-images.md says how to take it to an engine. To deploy the app here, "
            'have it built otherwise: `builder = "procfile"` in trivet.toml, [build], for example.',
        )


def _tell_what_waits(machine: Machine, released: Released, progress: Progress) -> None:
    formation = machine.formation(released.release.deploy)
    for process in runnable(released.release.processes):
        if not formation.count(process.name):
            progress.notice(f"no {process.name} process runs yet: trivet scale {process.name}=1 starts one")


def _watch_s(target: Deploy, choice: DeployChoice, settings: Settings) -> float | None:
    chosen = settings.deploys.get(target.name, DeploySettings())
    return choice.watch_s if choice.watch_s is not None else chosen.watch_s


def _address(target: Deploy, choice: DeployChoice, settings: Settings) -> Address:
    """Port 0, no host: where it is reached already."""
    chosen = settings.deploys.get(target.name, DeploySettings())
    port, host = choice.port or chosen.port, choice.host or chosen.host
    if port is None and host is None:
        return Address("", 0, chosen.proxy_protocol)
    return Address(host or DEFAULT_HOST, port or 0, chosen.proxy_protocol)

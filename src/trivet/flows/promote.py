"""Promote: the same build, released in another deploy with that deploy's config."""

from trivet.errors import InputError, NothingReleased
from trivet.flows.installation import Installation, Progress
from trivet.flows.present import check_types_kept
from trivet.flows.releasing import Released, Releasing, RollOutOptions, prepare
from trivet.flows.trust import check_trusted
from trivet.model.config import Config, compare
from trivet.model.names import Deploy
from trivet.model.release import Cause, Draft, Origin, Record
from trivet.release import ConfigStore, Ledger


def promote(installation: Installation, source: Deploy, target: Deploy, reason: str, progress: Progress) -> Released:
    """What serves in `source` serves in `target` as well, with the target's own config.

    Raises: NothingReleased, InputError, RunError.
    """
    if source == target:
        raise InputError(
            f"{source} cannot be promoted to itself.", hint="Name two deploys: trivet promote staging production"
        )
    with installation.working_on(target, f"promote {source.name}", progress), Ledger(installation.home) as ledger:
        promoted = _promoted(ledger, source)
        machine = prepare(installation, ledger, target, progress)
        with ConfigStore(installation.home) as store:
            stored = store.current(target)
        number, current = promoted.release.number, ledger.current(target)
        if signer := check_trusted(installation, target, current, promoted.release.build):
            progress.step("release", f"{promoted.release.build.id}: signed by {signer.name} ({signer.fingerprint})")
        if current is not None:
            check_types_kept(machine, target, current.release.processes, promoted.release.processes)
        draft = Draft(
            deploy=target,
            build=promoted.release.build,
            config_version=stored.version,
            config_change=compare(stored.config if current else Config(), stored.config),
            cause=Cause.PROMOTE,
            reason=reason or f"promote {source.name} v{number}",
            actor=installation.actor,
            origin=Origin(source, number),
        )
        return Releasing(ledger, machine, progress).bring_into_service(draft, stored.config, RollOutOptions())


def _promoted(ledger: Ledger, source: Deploy) -> Record:
    current = ledger.current(source)
    if current is None:
        raise NothingReleased(
            f"{source} has no good release to promote.", hint=f"Deploy to it first: trivet deploy -d {source.name}"
        )
    return current

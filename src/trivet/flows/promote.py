"""Promote: the same build, released in another deploy with that deploy's config."""

from dataclasses import field

from trivet.errors import InputError, NothingReleased
from trivet.flows.installation import Installation, Progress
from trivet.flows.interruption import releasing_on
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
from trivet.flows.releasing import Released, Releasing, prepare
from trivet.flows.signing import Due, check_signed, find_sign
from trivet.flows.situation import Situation, find_situation
from trivet.flows.trust import check_trusted
from trivet.model.config import compare
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Terms, planned
from trivet.model.release import Cause, Origin, Record
from trivet.release import ConfigStore, Ledger, check_declared, complete
from trivet.run import Machine


@frozen
class Promotion:
    """What serves in `source` is to serve in `target`."""

    source: Deploy
    target: Deploy
    terms: Terms = field(default_factory=Terms)


@frozen
class _Promoted:
    """A promotion as it was decided: the release that is promoted, the target, and what becomes of it."""

    record: Record
    situation: Situation
    decision: Decision


def plan_promotion(installation: Installation, promotion: Promotion) -> Decision:
    """What `promote` would do now; nothing changes. Raises: InputError, NothingReleased."""
    _check_two(promotion)
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        return _decide(installation, ledger, store, promotion).decision


def promote(installation: Installation, promotion: Promotion, progress: Progress) -> Released:
    """What serves in `source` serves in `target` as well, with the target's own config.

    Raises: NothingReleased, InputError, UnfitConfig, PlanOutdated, Quarantined, RunError.
    """
    _check_two(promotion)
    source, target = promotion.source, promotion.target
    with releasing_on(installation, target, f"promote {source.name}", progress) as ledger:
        _find_promoted(ledger, source)  # before anything is started
        machine = prepare(installation, ledger, target, progress)
        with ConfigStore(installation.home) as store:
            promoted = _decide(installation, ledger, store, promotion)
        promoted.decision.insist(promotion.terms.expect)
        plan, build = promoted.decision.plan, promoted.record.release.build
        if signer := check_trusted(installation, target, promoted.situation.current, build):
            progress.step("release", f"{build.id}: signed by {signer.name} ({signer.fingerprint})")
        with ConfigStore(installation.home) as store:
            release = draft(installation, plan, build, store_config(store, promoted.decision))
        due = Due(target, promoted.situation.current, promotion.terms)
        sign = find_sign(installation, due, build, progress)
        return Releasing(installation, ledger, machine, progress).bring_into_service(
            release, promoted.decision.config, options(plan, sign)
        )


def _decide(installation: Installation, ledger: Ledger, store: ConfigStore, promotion: Promotion) -> _Promoted:
    target, terms = promotion.target, promotion.terms
    record, machine = _find_promoted(ledger, promotion.source), Machine(installation.home)
    situation = find_situation(ledger, store, machine, target)
    current, release = situation.current, record.release
    build, declarations = planned(release.build), release.build.declarations
    stored = situation.config
    config = complete(declarations, stored.config)
    proposal = Proposal(
        Cause.PROMOTE,
        reason(f"promote {promotion.source.name} {release.name}", terms),
        build,
        config,
        compare(situation.released_config, config),
        stored.version if config == stored.config else None,
        Origin(promotion.source, release.number),
        missing_keys=compare(situation.config.config, store.at(promotion.source, release.config_version).config).added,
    )
    before = current.release.processes if current else ()
    decision = decide(
        situation,
        proposal,
        lambda: check_declared(target, declarations, stored.config),
        lambda: check_quarantine(situation, release.build.source, release.build.id, terms),
        lambda: check_trusted(installation, target, current, release.build),
        lambda: check_signed(installation, Due(target, current, terms), release.build.release),
        lambda: check_types_kept(machine, target, before, release.processes),
    )
    return _Promoted(record, situation, decision)


def _check_two(promotion: Promotion) -> None:
    if promotion.source == promotion.target:
        raise InputError(
            f"{promotion.source} cannot be promoted to itself.",
            hint="Name two deploys: trivet promote staging production",
        )


def _find_promoted(ledger: Ledger, source: Deploy) -> Record:
    current = ledger.current(source)
    if current is None:
        raise NothingReleased(
            f"{source} has no good release to promote.", hint=f"Deploy to it first: trivet deploy -d {source.name}"
        )
    return current

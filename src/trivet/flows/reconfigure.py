"""Reconfigure: changed config, one or many keys, becomes one new release of the same build."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from trivet.errors import ConfigError
from trivet.flows.installation import Installation, Progress
from trivet.flows.interruption import releasing_on
from trivet.flows.planning import Decision, Proposal, decide, draft, options, reason
from trivet.flows.releasing import Released, Releasing, prepare
from trivet.flows.signing import Due, check_signed, find_sign
from trivet.flows.situation import Situation, find_situation, read_situation
from trivet.model.config import Config, ConfigChange, ConfigVersion, Marking, compare, parse_config
from trivet.model.declaration import Declaration
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Terms, planned
from trivet.model.release import Cause
from trivet.release import ConfigStore, check_declared, complete
from trivet.run import Machine


@frozen
class Reconfigured:
    """What a change of config did: `change` is empty if every key had its value and its marks already.

    `released` is None then, and also when the deploy has no good release yet: the config waits for the first deploy.
    """

    change: ConfigChange
    released: Released | None


def read_config(installation: Installation, deploy: Deploy) -> ConfigVersion:
    """The deploy's current config."""
    with ConfigStore(installation.home) as store:
        return store.current(deploy)


@frozen
class Changes:
    """The keys that are to be changed, with their new values (None takes a key away), and how they are to be marked."""

    deploy: Deploy
    values: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    marking: Marking = field(default_factory=Marking)
    terms: Terms = field(default_factory=Terms)


def plan_changes(installation: Installation, changes: Changes) -> Decision:
    """What `reconfigure` would do now; nothing changes. Raises: ConfigError."""
    _check_valid(changes)
    return _decide(installation, read_situation(installation, changes.deploy), changes)


def reconfigure(installation: Installation, changes: Changes, progress: Progress) -> Reconfigured:
    """The config has these values and marks, in one new release that serves.

    Raises: ConfigError, UnfitConfig, PlanOutdated before anything changes; RunError if the app does not come up with the
    new config, which then stays on record as failed while the old release and the old config stay current.
    """
    _check_valid(changes)
    deploy = changes.deploy
    with (
        releasing_on(installation, deploy, "config", progress) as ledger,
        ConfigStore(installation.home) as store,
    ):
        # An interrupted command is settled first: it may have made another release the current one.
        machine = prepare(installation, ledger, deploy, progress) if ledger.records(deploy, limit=1) else None
        situation = find_situation(ledger, store, machine or Machine(installation.home), deploy)
        decision = _decide(installation, situation, changes)
        decision.insist(changes.terms.expect)
        plan = decision.plan
        if not plan.config:
            return Reconfigured(plan.config, None)
        stored = store.add(deploy, decision.config)
        if situation.current is None or machine is None:
            return Reconfigured(plan.config, None)
        release = draft(installation, plan, situation.current.release.build, stored)
        due, build = Due(deploy, situation.current, changes.terms), situation.current.release.build
        sign = find_sign(installation, due, build, progress)
        released = Releasing(installation, ledger, machine, progress).bring_into_service(
            release, stored.config, options(plan, sign)
        )
        return Reconfigured(plan.config, released)


def _decide(installation: Installation, situation: Situation, changes: Changes) -> Decision:
    old, current = situation.config.config, situation.current
    _check_present(changes.deploy, old, changes)
    declarations = current.release.build.declarations if current else ()
    wanted = old.changed(changes.values, changes.marking)
    new = complete(declarations, wanted)
    change = compare(old, new)
    build = planned(current.release.build) if current and change else None
    return decide(
        situation,
        Proposal(
            Cause.CONFIG, reason("; ".join(_describe(change)) or "change nothing", changes.terms), build, new, change
        ),
        lambda: check_declared(changes.deploy, declarations, wanted),
        lambda: _check_marks(declarations, changes.marking),
        lambda: (
            check_signed(installation, Due(changes.deploy, current, changes.terms), current.release.build.release)
            if current and change
            else None
        ),
    )


def _check_valid(changes: Changes) -> None:
    parse_config({key: value or "" for key, value in changes.values.items()})


def _describe(change: ConfigChange) -> Iterator[str]:
    if names := (*change.added, *change.changed):
        yield f"set {', '.join(sorted(names))}"
    if change.removed:
        yield f"unset {', '.join(change.removed)}"
    for key, marks in change.marks.items():
        yield f"mark {key} {', '.join(marks)}" if marks else f"take the marks off {key}"


def _check_present(deploy: Deploy, config: Config, changes: Changes) -> None:
    unset = {key for key, value in changes.values.items() if value is None}
    absent = sorted((unset | (changes.marking.keys - changes.values.keys())) - config.values.keys())
    if absent:
        raise ConfigError(
            f"{deploy} has no config key {', '.join(absent)}.",
            hint=f"It has: {', '.join(config.values) or 'none'}. Nothing was changed.",
        )


def _check_marks(declarations: Iterable[Declaration], marking: Marking) -> None:
    """Raises: ConfigError, if a mark is to go that the running build declares: its next release would have it again."""
    secret = {each.key for each in declarations if each.secret}
    live = {each.key for each in declarations if each.live}
    for mark, declared, wanted in (("secret", secret, marking.secret), ("live", live, marking.live)):
        kept = sorted(key for key, has in wanted.items() if not has and key in declared)
        if kept:
            raise ConfigError(
                f"{', '.join(kept)} {'is' if len(kept) == 1 else 'are'} declared {mark} in the app's trivet.toml.",
                hint="Change it there, commit, and deploy; then take the mark off. Nothing was changed.",
            )

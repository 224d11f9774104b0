"""Prune: builds that nobody needs any more leave the disk; what can be rolled back to stays, and so does every record."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from trivet.build import plan_pruning
from trivet.build import prune as remove
from trivet.errors import Busy, InputError, Interrupted, MachineError, TrivetError
from trivet.flows.installation import Installation, Progress
from trivet.flows.leftovers import clear_killed_builds
from trivet.host.clock import seconds_since_epoch
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.pruning import BuildName, Keep, Pruned
from trivet.model.release import Act, Record
from trivet.release import Ledger
from trivet.run import Machine

KEEP, BUDGET = "TRIVET_KEEP_RELEASES", "TRIVET_DISK_BUDGET"
_KEPT_RELEASES = 10
_READY_BUILDS = 2  # of each deploy: what runs, and what a rollback would bring back first
_GRACE_S = 3600.0
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@frozen
class Limits:
    """How many good releases of each deploy are kept, and how much their builds may take (None: no bound)."""

    releases: int = _KEPT_RELEASES
    budget_bytes: int | None = None


def limits_from_environment(environment: Mapping[str, str]) -> Limits:
    """What TRIVET_KEEP_RELEASES and TRIVET_DISK_BUDGET say; 10 releases and no bound otherwise. Raises: InputError."""
    kept, budget = environment.get(KEEP), environment.get(BUDGET)
    if kept and not re.fullmatch(r"[1-9][0-9]{0,5}", kept):
        raise InputError(f"{KEEP} is {kept!r}, which is no number of releases.", hint=f"Set it to 1 or more: {KEEP}=20")
    return Limits(int(kept) if kept else _KEPT_RELEASES, parse_size(budget, BUDGET) if budget else None)


def parse_size(text: str, name: str) -> int:
    """The bytes that "500MB" or "20G" mean; `name` says what was to be set. Raises: InputError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{name}: {text!r} is no size.", hint="Write it like 500MB or 20GB.")
    return int(float(match["number"]) * _UNITS[match["unit"].lower()])


def prune(installation: Installation, limits: Limits, reason: str, progress: Progress, *, dry_run: bool) -> Pruned:
    """What nobody needs is gone, or with `dry_run` only told. Raises: Busy, LedgerError, MachineError, InvalidDocument."""
    if not installation.home.database.exists():
        return Pruned()
    clear_killed_builds(installation)
    try:
        with installation.alone_with_store("prune", progress, wait=installation.wait):
            pruned, removal = plan_pruning(installation.home, _keep(installation, limits), thorough=True)
            if not dry_run:
                _remove(installation, pruned, partial(remove, installation.home, removal), reason or "prune")
            return pruned
    except KeyboardInterrupt as interrupt:
        raise Interrupted(
            "Interrupted; some of what was to be pruned may be gone, and whatever is kept is whole.",
            hint="`trivet prune` removes the rest.",
        ) from interrupt


def prune_after_deploy(installation: Installation, progress: Progress) -> None:
    """What nobody needs any more is gone, and told if it is a build. No failure and nobody else at work is in the way."""
    try:
        limits = limits_from_environment(installation.caller)
        with installation.alone_with_store("prune", progress, wait=False):
            pruned, removal = plan_pruning(installation.home, _keep(installation, limits), thorough=False)
            _remove(installation, pruned, partial(remove, installation.home, removal), "prune after a deploy")
    except Busy:
        return  # whoever is at work deploys, and prunes afterwards
    except (TrivetError, OSError) as error:
        progress.notice(f"old builds could not be pruned: {error} `trivet prune` tries again")
        return
    if pruned.freed_bytes:
        progress.notice(f"pruned {pruned.told}")


def _remove(installation: Installation, pruned: Pruned, take_away: Callable[[], None], reason: str) -> None:
    """All of it is gone, and the ledger says so. It says so first, so that nothing goes without a word.

    On a full disk it cannot: what makes room is then told once there is some.
    """
    act = Act(installation.actor, reason)
    with Ledger(installation.home) as ledger:
        try:
            ledger.prune(pruned, act)
        except MachineError:
            take_away()
            ledger.prune(pruned, act)
        else:
            take_away()


def _keep(installation: Installation, limits: Limits) -> Keep:
    """Marked from the ledger, and from what the run stage says it needs, should the ledger be lost."""
    ready = {BuildName(app, build_id) for app, build_id in Machine(installation.home).builds_in_use()}
    fixed: set[BuildName] = set()
    released: dict[BuildName, str] = {}
    with Ledger(installation.home) as ledger:
        for deploy in ledger.deploys():
            good = list(_good(ledger, deploy, limits.releases))
            ready |= set(list(dict.fromkeys(map(_name, good)))[:_READY_BUILDS])
            ready |= {_name(record) for record in ledger.pending(deploy)}
            fixed |= {_name(ledger.record(deploy, number)) for number in ledger.pins(deploy)}
            for record in good:
                released[_name(record)] = max(record.release.created_at, released.get(_name(record), ""))
    newest_first = sorted(released, key=released.__getitem__, reverse=True)
    since = seconds_since_epoch() - _GRACE_S
    return Keep(frozenset(ready), frozenset(fixed), tuple(newest_first), limits.budget_bytes, since)


def _good(ledger: Ledger, deploy: Deploy, count: int) -> Iterator[Record]:
    for record in ledger.walk(deploy):
        if count <= 0:
            return
        if record.is_good:
            count -= 1
            yield record


def _name(record: Record) -> BuildName:
    return BuildName(record.release.build.app, record.release.build.id)

"""Watching a release that has taken over: if it fails while somebody looks, the release before serves again."""

import time

from trivet.errors import NotARollbackTarget, RollOutFailed, SupervisorUnreachable, TrivetError
from trivet.flows.installation import Installation, Progress
from trivet.flows.rollback import Return, return_on
from trivet.model.frozen import frozen
from trivet.model.plan import Terms
from trivet.model.release import Release
from trivet.model.run import Failure
from trivet.release import Ledger
from trivet.run import Machine


@frozen
class Watch:
    """Which release is watched, for how many seconds."""

    release: Release
    seconds: float


def keep_watch(installation: Installation, ledger: Ledger, watch: Watch, progress: Progress) -> None:
    """The release has run for so long without a crash, a restart or a failing health check.

    Raises: RollOutFailed, if it has not: then the good release before serves again, as a new one, if that could be done.
    """
    release = watch.release
    progress.step("run", f"watching {release.name} for {watch.seconds:g} s")
    failure = _see(Machine(installation.home), watch)
    if failure is None:
        return
    reason = f"{release.name} failed while it was watched: {failure.reason}"
    progress.notice(reason)
    try:
        back = return_on(installation, ledger, Return(release.deploy, terms=Terms(reason)), progress)
    except TrivetError as error:
        raise RollOutFailed(f"{reason}.", hint=_still(release, error), detail=failure.output) from error
    origin = back.release.origin
    raise RollOutFailed(
        f"{reason}.",
        hint=f"{back.release.name} has taken its place{f', which is v{origin.number} again' if origin else ''}. "
        f"`trivet releases show {release.name}` keeps what was released; mend the app or its config and try again.",
        detail=failure.output,
    )


def _see(machine: Machine, watch: Watch) -> Failure | None:
    """What went wrong, if anything did, also if the supervisor was killed meanwhile."""
    release, until, before = watch.release, time.monotonic() + watch.seconds, _pids(machine, watch.release)
    while True:
        try:
            return machine.watch(release.deploy, release.number, max(0.0, until - time.monotonic()))
        except SupervisorUnreachable:
            machine.up()
        now = _pids(machine, release)
        if gone := [name for name, pid in before.items() if now.get(name) != pid]:
            return Failure(f"{gone[0]} ended while the supervisor was away", gone[0])


def _pids(machine: Machine, release: Release) -> dict[str, int | None]:
    return {each.process: each.pid for each in machine.processes(release.deploy) if each.release == release.number}


def _still(release: Release, error: TrivetError) -> str:
    if isinstance(error, NotARollbackTarget):
        return f"There is no release to go back to, so {release.name} still serves. Mend the app, then: trivet deploy"
    return f"{release.name} still serves, as it could not be rolled back. {error.message} {error.hint}"

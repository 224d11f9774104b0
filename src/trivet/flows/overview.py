"""Overview: reads only, of all three stages. What the command line shows, and any other way in."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from trivet.build import build_states, commits_between, list_builds, read_beside, read_build, read_log
from trivet.errors import BuildError, InvalidDocument, MachineError, NothingReleased, UnknownApp
from trivet.flows.installation import Installation
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.event import EventKind
from trivet.model.formation import Formation
from trivet.model.frozen import frozen
from trivet.model.logs import LogChoice, LogLine
from trivet.model.names import AppName, Deploy
from trivet.model.output import KeptOutput
from trivet.model.process import runnable
from trivet.model.pruning import BuildState
from trivet.model.release import Record
from trivet.model.run import Address, ProcessState, ProcessStatus
from trivet.model.source import CommitLine
from trivet.model.timings import StepTime, Timings
from trivet.model.verification import Verification
from trivet.release import ConfigStore, Kind, Ledger, ReleaseDiff, diff, find_quarantines
from trivet.run import Machine

T = TypeVar("T")


@frozen
class DeployOverview:
    """One deploy at a glance. `release` is the running one's number; `running` of `wanted` processes run.

    What the run stage cannot read of it (`list_troubles` says why) counts as not there.
    """

    deploy: Deploy
    release: int | None
    commit: str | None
    subject: str | None
    created_at: str | None
    address: Address | None
    is_stopped: bool
    running: int
    wanted: int


@frozen
class Comparison:
    """Two releases side by side; `commits` are those that the new one has beyond the old, newest first.

    `commits_note` says why there are none to list.
    """

    old: Record
    new: Record
    changes: ReleaseDiff
    commits: tuple[CommitLine, ...]
    commits_note: str


def list_deploys(installation: Installation) -> tuple[DeployOverview, ...]:
    """Every deploy of every app."""
    if not installation.home.database.exists():
        return ()
    with Ledger(installation.home) as ledger:
        machine = Machine(installation.home)
        statuses = machine.processes(None)
        return tuple(_overview(ledger, machine, deploy, statuses) for deploy in ledger.deploys())


def known_deploys(installation: Installation) -> tuple[Deploy, ...]:
    """Every deploy of every app, by name."""
    if not installation.home.database.exists():
        return ()
    with Ledger(installation.home) as ledger:
        return ledger.deploys()


def check_app_known(installation: Installation, app: AppName) -> None:
    """Raises: UnknownApp, with what there is, if the app has no deploy."""
    known = known_deploys(installation)
    if all(other.app != app for other in known):
        raise _unknown_app(app, known)


def check_known(installation: Installation, deploy: Deploy) -> None:
    """Raises: UnknownApp, with what there is, if nothing was ever deployed or configured under this name."""
    known = known_deploys(installation)
    if deploy in known:
        return
    same_app = [other.name for other in known if other.app == deploy.app]
    if same_app:
        raise UnknownApp(
            f"The app {deploy.app} has no deploy {deploy.name!r}.",
            hint=f"It has: {', '.join(same_app)}. The first `trivet deploy -d {deploy.name}` makes it.",
        )
    raise _unknown_app(deploy.app, known)


def _unknown_app(app: AppName, known: tuple[Deploy, ...]) -> UnknownApp:
    apps = sorted({other.app for other in known})
    return UnknownApp(
        f"There is no app {app!r}.",
        hint=f"Known apps: {', '.join(apps) or 'none'}. The first `trivet deploy` makes one; -a APP names another.",
    )


def list_releases(installation: Installation, deploy: Deploy, limit: int | None) -> tuple[Record, ...]:
    """The releases, newest first."""
    with Ledger(installation.home) as ledger:
        return ledger.records(deploy, limit=limit)


def running_release(installation: Installation, deploy: Deploy) -> int | None:
    """The number of the release that the run stage is on."""
    return Machine(installation.home).current(deploy)


def pinned_releases(installation: Installation, deploy: Deploy) -> frozenset[int]:
    """The numbers of the releases that are pinned."""
    with Ledger(installation.home) as ledger:
        return ledger.pins(deploy)


def quarantined_releases(newest_first: tuple[Record, ...]) -> frozenset[int]:
    """The numbers of those of a deploy's newest releases whose build is in quarantine."""
    quarantines = find_quarantines(newest_first)
    return frozenset(
        record.release.number
        for record in newest_first
        if any(each.covers(record.release.build.id, record.release.build.source) for each in quarantines)
    )


def show_release(installation: Installation, deploy: Deploy, number: int) -> Record:
    """One release. Raises: UnknownRelease."""
    with Ledger(installation.home) as ledger:
        return ledger.record(deploy, number)


def read_outputs(installation: Installation, deploy: Deploy, number: int) -> tuple[KeptOutput, ...]:
    """What the commands around the release wrote, in the order in which they ran. Raises: UnknownRelease."""
    show_release(installation, deploy, number)
    return Machine(installation.home).outputs(deploy, number)


def compare_releases(installation: Installation, deploy: Deploy, old: int, new: int) -> Comparison:
    """What differs from release `old` to release `new`. Raises: UnknownRelease."""
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        before, after = ledger.record(deploy, old), ledger.record(deploy, new)
        changes = diff(before, after, _config(store, before), _config(store, after))
    source = after.release.build.source
    commits, note = commits_between(source.repository, before.release.build.source.commit, source.commit)
    return Comparison(before, after, changes, commits, note)


def verify_ledger(installation: Installation, kept: str | None) -> Verification:
    """Whether every entry of the ledger is what was once written, and if not, which is the first bad one.

    `kept` is a checkpoint from outside: the path of a file, or what a deploy printed. Raises: InputError if it is none.
    """
    with Ledger(installation.home) as ledger:
        return ledger.verify(kept)


def prove_release(installation: Installation, deploy: Deploy, number: int, *, outcome: bool) -> str:
    """A proof that the release, or its outcome, is in the ledger. Raises: UnknownRelease."""
    with Ledger(installation.home) as ledger:
        return ledger.prove(deploy, number, Kind.OUTCOME if outcome else Kind.RELEASE)


def show_public_key(installation: Installation) -> str:
    """The key that checks what this installation signs. Raises: NothingReleased."""
    with Ledger(installation.home) as ledger:
        key = ledger.public_key()
    if key is None:
        raise NothingReleased(
            "This installation has signed nothing yet, and has no key.", hint="The first `trivet deploy` makes it."
        )
    return key


def show_formation(installation: Installation, deploy: Deploy) -> dict[str, int]:
    """How many processes of each type of the current release are meant to run."""
    machine = Machine(installation.home)
    number = machine.current(deploy)
    types = runnable(show_release(installation, deploy, number).release.processes) if number else ()
    formation = machine.formation(deploy)
    return {process.name: formation.count(process.name) for process in types} or dict(formation.counts)


def list_processes(installation: Installation, deploy: Deploy | None) -> tuple[ProcessStatus, ...]:
    """The processes of a deploy (None: of all)."""
    return Machine(installation.home).processes(deploy)


def list_last_words(
    installation: Installation, statuses: Iterable[ProcessStatus]
) -> Mapping[ProcessStatus, tuple[str, ...]]:
    """What each of these processes that has crashed wrote last before it did. Raises: MachineError."""
    crashed = [status for status in statuses if status.last_exit is not None]
    machine = Machine(installation.home)
    told = {
        (deploy, event.release, event.process): event.output
        for deploy in {status.deploy for status in crashed}
        for event in machine.events(deploy)
        if event.kind is EventKind.CRASHED
    }
    words = ((status, told.get((status.deploy, status.release, status.process), ())) for status in crashed)
    return {status: lines for status, lines in words if lines}


def list_troubles(installation: Installation, only: Deploy | None = None) -> tuple[str, ...]:
    """What keeps deploys (or this one) from being as they are meant to be, one sentence each.

    While the supervisor is down that is only what cannot be read of them.
    """
    machine = Machine(installation.home)
    told = machine.troubles()
    unread = ((deploy, error) for deploy, errors in machine.unread().items() for error in errors)
    troubles = [
        *told.items(),
        *((deploy, f"{error} {error.hint}") for deploy, error in unread if str(error) not in told.get(deploy, "")),
    ]
    return tuple(f"{deploy}: {text}" for deploy, text in sorted(troubles) if only in (None, deploy))


def is_up(installation: Installation) -> bool:
    """Whether the supervisor runs."""
    return Machine(installation.home).is_up()


def is_stopped(installation: Installation, deploy: Deploy) -> bool:
    """Whether somebody has stopped the deploy and nobody has started it since."""
    return Machine(installation.home).is_stopped(deploy)


def read_logs(installation: Installation, deploy: Deploy, choice: LogChoice, *, follow: bool) -> Iterator[LogLine]:
    """Log lines of the deploy's processes, merged in order of time. Raises: UnknownProcess, UnknownRelease."""
    return Machine(installation.home).logs(deploy, choice, follow=follow)


def show_builds(installation: Installation, app: AppName) -> tuple[Build, ...]:
    """The app's builds, newest first."""
    return list_builds(installation.home, app)


def show_build_states(installation: Installation, app: AppName) -> Mapping[str, BuildState]:
    """Whether the layers of each of the app's builds are checked out, stored or pruned, by the build's id."""
    return build_states(installation.home, app)


def show_build(installation: Installation, app: AppName, build_id: str) -> Build:
    """One build. Raises: BuildError."""
    return read_build(installation.home, app, build_id)


def show_build_document(installation: Installation, app: AppName, build_id: str, document: BuildDocument) -> str:
    """A document of the build, as it stands beside it. Raises: BuildError."""
    return read_beside(installation.home, app, build_id, document)


def show_step_times(installation: Installation, build: Build) -> tuple[StepTime, ...]:
    """How long each step of the build took; none if nobody wrote it down. Raises: InvalidDocument."""
    try:
        text = read_beside(installation.home, build.app, build.id, BuildDocument.TIMINGS)
    except BuildError:
        return ()
    return read_document(Timings, text, name=BuildDocument.TIMINGS).steps


def show_build_log(installation: Installation, app: AppName, build_id: str) -> str:
    """All that the commands of a build wrote. Raises: BuildError."""
    return read_log(installation.home, app, build_id)


def _config(store: ConfigStore, record: Record) -> Config:
    return store.at(record.release.deploy, record.release.config_version).config


def _overview(ledger: Ledger, machine: Machine, deploy: Deploy, statuses: tuple[ProcessStatus, ...]) -> DeployOverview:
    number = _read(machine.current, deploy)
    release = ledger.record(deploy, number).release if number else None
    own = [status for status in statuses if status.deploy == deploy and status.release == number]
    formation = _read(machine.formation, deploy) or Formation({})
    wanted = {name for name, _ in formation.processes(release.processes)} if release else set()
    return DeployOverview(
        deploy=deploy,
        release=number,
        commit=release.build.source.commit if release else None,
        subject=release.build.source.subject if release else None,
        created_at=release.created_at if release else None,
        address=_read(machine.address, deploy),
        is_stopped=machine.is_stopped(deploy),
        running=sum(status.state is ProcessState.RUNNING for status in own if status.process in wanted),
        wanted=len(wanted),
    )


def _read(read: Callable[[Deploy], T], deploy: Deploy) -> T | None:
    try:
        return read(deploy)
    except (InvalidDocument, MachineError):
        return None

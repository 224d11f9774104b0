"""The build stage: a commit becomes a `Build`, an executable bundle with vendored dependencies and no config.

These are its doors. What stands behind one is imported when it is used: most commands use none, and all must start
quickly.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trivet.build.request import BuildRequest, Built, Foreseen, Listener
from trivet.host.pen import Pen
from trivet.model.build import Build, Layer
from trivet.model.build_document import BuildDocument
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.model.pruning import BuildState, Keep, Pruned
from trivet.model.source import CommitLine, Source

if TYPE_CHECKING:
    from trivet.build.pruning import Removal
    from trivet.host.integrity import Fault
    from trivet.model.attempt import Attempt
    from trivet.model.checked import Checked
    from trivet.model.settings import Settings

__all__ = [
    "BuildRequest",
    "Built",
    "Foreseen",
    "Listener",
    "Pen",
    "build_states",
    "check_build",
    "check_out",
    "commits_between",
    "describe_confinement",
    "find_repository",
    "find_source",
    "foresee_build",
    "is_stored_whole",
    "list_attempts",
    "list_builds",
    "make_build",
    "plan_pruning",
    "prune",
    "read_beside",
    "read_build",
    "read_log",
    "read_settings",
    "remove_builds",
    "sign_build",
    "sweep_scratch",
    "verify_builds",
    "verify_layer",
]


def make_build(request: BuildRequest, listener: Listener) -> Built:
    """The commit is a build: found if it was made before with the same tools, else made; nothing half-made is left.

    Raises: SourceError, DetectionError, LockfileError, InvalidFile, StepFailed, StoreError, MachineError, Interrupted.
    """
    from trivet.build import lookup

    return lookup.make_build(request, listener)


def foresee_build(request: BuildRequest) -> Foreseen:
    """What `make_build` would find or make; nothing is made, and nothing is written but a folder that is gone afterwards.

    Raises: SourceError, DetectionError, LockfileError, InvalidFile, MachineError.
    """
    from trivet.build import foresight

    return foresight.foresee_build(request)


def check_build(request: BuildRequest, listener: Listener) -> "Checked":
    """The build of the commit was made again from nothing and compared; nothing of it is kept.

    Raises: BuildError if there is none to compare with, or what `make_build` does.
    """
    from trivet.build import check

    return check.check_build(request, listener)


def read_settings(repository: Path, revision: str, directory: str) -> "Settings":
    """What the commit's `trivet.toml` says; nothing is built. Raises: SourceError, InvalidFile, MachineError."""
    from trivet.build import lookup

    return lookup.read_settings(repository, revision, directory)


def read_build(home: Home, app: AppName, build_id: str) -> Build:
    """One build. Raises: BuildError if there is none, InvalidDocument."""
    from trivet.build import record

    return record.read_build(home, app, build_id)


def list_builds(home: Home, app: AppName) -> tuple[Build, ...]:
    """The app's builds, newest first."""
    from trivet.build import record

    return record.list_builds(home, app)


def list_attempts(home: Home, app: AppName, limit: int | None = None) -> "tuple[Attempt, ...]":
    """What was asked to be built of the app and what came of it, newest first; only the newest `limit` are read."""
    from trivet.build import attempts

    return attempts.list_attempts(home, app, limit)


def read_log(home: Home, app: AppName, build_id: str) -> str:
    """All that the commands of the build wrote; "failed" is the last build that failed. Raises: BuildError."""
    from trivet.build import record

    return record.read_log(home, app, build_id)


def read_beside(home: Home, app: AppName, build_id: str, document: BuildDocument) -> str:
    """A document of the build, as it stands there. Raises: BuildError if there is no such build, or it has none."""
    from trivet.build import record

    return record.read_beside(home, app, build_id, document)


def sweep_scratch(home: Home) -> None:
    """What killed builds left is gone, their processes too. Raises: OSError, MachineError."""
    from trivet.build import scratch

    scratch.sweep(home.scratch)


def remove_builds(home: Home, app: AppName) -> None:
    """The app has no builds any more. Layers stay, since other apps may share them."""
    from trivet.build import record

    record.remove_builds(home, app)


def sign_build(home: Home, build: Build, pen: Pen) -> None:
    """The build's provenance is signed; an earlier signature is replaced. Raises: SignatureError, BuildError, MachineError."""
    from trivet.build import signature

    signature.sign_build(home, build, pen)


def verify_builds(home: Home, builds: tuple[Build, ...]) -> "tuple[tuple[Fault, ...], ...]":
    """What of each build is not as it was built: every byte was read. Raises: MachineError."""
    from trivet.build import verification

    return verification.verify_builds(home, builds)


def verify_layer(home: Home, layer: Layer) -> None:
    """Every byte of the layer is what it was when it was stored. Raises: StoreError."""
    from trivet.build import store

    store.Store(home).verify(layer)


def describe_confinement(caller: Mapping[str, str]) -> Mapping[str, str]:
    """How this machine would confine a build: its `seclusion`, and what is kept from its `network` while compiling.

    Raises: MachineError if it cannot, InputError.
    """
    from trivet.build import confinement

    return confinement.describe_here(caller)


def build_states(home: Home, app: AppName) -> Mapping[str, BuildState]:
    """Whether the layers of each of the app's builds are checked out, stored or pruned, by the build's id."""
    from trivet.build import inventory

    return inventory.build_states(home, app)


def check_out(home: Home, build: Build) -> bool:
    """The build's layers are checked out; False if what is stored of them does not suffice. Raises: MachineError."""
    from trivet.build import record, store

    record.mark_used(home, build)
    return all(store.Store(home).obtain(layer.digest) for layer in build.layers)


def is_stored_whole(home: Home, build: Build) -> bool:
    """Whether all that its layers consist of is stored and is what it should be; every byte was read."""
    from trivet.build import store

    return all(store.Store(home).holds(layer.digest) for layer in build.layers)


def plan_pruning(home: Home, keep: Keep, *, thorough: bool) -> "tuple[Pruned, Removal]":
    """What `prune` would do now; nothing changes. Not thorough: leftovers are looked for only if a build is pruned.

    Raises: MachineError.
    """
    from trivet.build import pruning

    return pruning.plan_pruning(home, keep, thorough=thorough)


def prune(home: Home, removal: "Removal") -> None:
    """All of the planned removal is gone. The caller is alone with the store since the plan. Raises: MachineError."""
    from trivet.build import pruning

    pruning.prune(home, removal)


def find_repository(folder: Path) -> Path:
    """The top of the work tree around the folder, or the bare repository. Raises: SourceError, MachineError."""
    from trivet.build import repository

    return repository.find_repository(folder)


def find_source(request: BuildRequest) -> Source:
    """The commit that the request names. Raises: SourceError, MachineError."""
    from trivet.build import source

    return source.read_commit(request.repository, request.revision, request.directory).source


def commits_between(repository: str | Path, old: str, new: str) -> tuple[tuple[CommitLine, ...], str]:
    """The commits that `new` has and `old` has not, newest first; if there are none to show, why."""
    from trivet.build import source

    return source.commits_between(repository, old, new)

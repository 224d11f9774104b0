"""Lookup: the build of a commit, found by its input key; only if there is none is anything of the making imported."""

from dataclasses import replace
from pathlib import Path

from trivet.build.attempts import add_attempt
from trivet.build.confinement import check_home
from trivet.build.identity import input_key
from trivet.build.record import Records
from trivet.build.request import BuildRequest, Built, Listener
from trivet.build.scratch import sweep
from trivet.build.signers import read_signers
from trivet.build.source import Commit, has_uncommitted_changes, read_commit
from trivet.build.toolbox import is_still_there
from trivet.build.uv import uv_version
from trivet.errors import TrivetError
from trivet.host.clock import monotonic_s, now
from trivet.host.files import refused
from trivet.model.attempt import Attempt
from trivet.model.build import Build
from trivet.model.settings import Settings, parse_settings

UNCOMMITTED = "Uncommitted changes are not part of the build; it is made from {commit}."


def make_build(request: BuildRequest, listener: Listener) -> Built:
    """The commit is a build: found if it was made before with the same tools, else made; nothing half-made is left.

    Raises: SourceError, DetectionError, LockfileError, InvalidFile, StepFailed, StoreError, MachineError, Interrupted.
    """
    check_home(request.home.root)
    try:
        sweep(request.home.scratch)
    except OSError as error:
        raise refused(error, "remove what a killed build left") from error
    commit = read_commit(request.repository, request.revision, request.directory)
    attempt = Attempt(request.app, "", commit.source.commit, commit.source.subject, request.actor, monotonic_s(), None)
    try:
        built = _find_or_make(request, commit, listener)
    except TrivetError as error:
        _end(request, replace(attempt, failure=error.message), listener)
        raise
    if not built.found:
        _end(request, replace(attempt, build=built.build.id), listener)
    return built


def _end(request: BuildRequest, attempt: Attempt, listener: Listener) -> None:
    """The attempt, whose duration is still the moment when it began, is on record, if the machine lets us."""
    took_s = round(monotonic_s() - attempt.duration_s, 3)
    try:
        add_attempt(request.home, replace(attempt, at=now(), duration_s=took_s))
    except TrivetError as error:
        listener.notice(f"`trivet log` will not tell of this build. {error.message}")


def _find_or_make(request: BuildRequest, commit: Commit, listener: Listener) -> Built:
    settings = parse_settings(commit.read("trivet.toml") or "")
    commit = commit.with_settings(settings)
    if has_uncommitted_changes(commit):
        listener.notice(UNCOMMITTED.format(commit=commit.source.short))
    key = input_key(commit.source, uv_version())
    try:
        with Records(request.home) as records:
            found = None if request.rebuild else records.find_build(request.app, key)
            if found is not None and still_runs(found):
                return Built(found, settings, key, found=True)
            from trivet.build import stage

            job = stage.Job(request, commit, settings, key, read_signers(commit, settings))
            return stage.make(job, records, listener)
    except OSError as error:
        raise refused(error, "build") from error


def read_settings(repository: Path, revision: str, directory: str) -> Settings:
    """What the commit's `trivet.toml` says; nothing is built. Raises: SourceError, InvalidFile, MachineError."""
    return parse_settings(read_commit(repository, revision, directory).read("trivet.toml") or "")


def still_runs(build: Build) -> bool:
    """Whether what the build relies on when it runs is on this machine."""
    return build.runtime is None or is_still_there(build.tools[build.runtime])

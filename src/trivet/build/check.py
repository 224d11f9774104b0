"""Check: a build is made again from nothing, in a home of its own, and compared with the one that is on record.

The other home lies in the scratch folder and goes with it: nothing of the first build is used (not its layers, not its
cache of downloads), and nothing of the second is kept.
"""

from dataclasses import replace

from trivet.build.compare import compare_builds
from trivet.build.identity import input_key
from trivet.build.lookup import make_build
from trivet.build.record import Records
from trivet.build.request import BuildRequest, Listener
from trivet.build.scratch import scratch_folder
from trivet.build.source import read_commit
from trivet.build.uv import uv_version
from trivet.errors import BuildError
from trivet.host.files import refused
from trivet.host.integrity import Inspection
from trivet.model.build import Build
from trivet.model.checked import Checked
from trivet.model.home import Home


def check_build(request: BuildRequest, listener: Listener) -> Checked:
    """The build of the commit was made again and compared. Raises: BuildError if there is none, or what `make_build` does."""
    recorded = _find_recorded(request)
    try:
        with scratch_folder(request.home.scratch) as scratch:
            home = Home(scratch / "home-of-its-own")
            again = make_build(replace(request, home=home, revision=recorded.source.commit), listener).build
            bundles = (each.bundle(request.app, build.id) for each, build in ((request.home, recorded), (home, again)))
            return Checked(recorded, compare_builds(recorded, next(bundles), again, next(bundles)))
    except OSError as error:
        raise refused(error, "compare the builds") from error


def _find_recorded(request: BuildRequest) -> Build:
    commit = read_commit(request.repository, request.revision, request.directory)
    with Records(request.home) as records:
        recorded = records.find_build(request.app, input_key(commit.source, uv_version()))
    if recorded is None:
        raise BuildError(
            f"There is no build of {commit.source.short} to compare with, made with today's tools and still whole.",
            hint=f"Make it first: trivet build {commit.source.short}",
        )
    if faults := Inspection(request.home).find_faults(recorded):
        raise BuildError(
            f"The build {recorded.id} was altered, so there is nothing to compare with: {faults[0].told}.",
            hint="`trivet builds verify` names all that was altered.",
        )
    return recorded

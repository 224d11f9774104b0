"""Build: source → build, released by nobody. Only what the build stage needs is imported, so that it starts quickly."""

from pathlib import Path

from trivet import build as stage
from trivet.build import BuildRequest, Built, Foreseen, Pen, check_build, foresee_build, make_build, sign_build
from trivet.flows.installation import Installation, Progress
from trivet.model.build import Layer
from trivet.model.build_plan import Phase
from trivet.model.checked import Checked
from trivet.model.frozen import frozen
from trivet.model.names import AppName
from trivet.model.source import Source


@frozen
class BuildChoice:
    """What to build: a revision of a repository, in a folder of it ("" for its top).

    `sign_with` is the path of the SSH key to sign it with ("": the person's usual one; None: it is not signed).
    """

    repository: Path
    revision: str = "HEAD"
    directory: str = ""
    rebuild: bool = False
    sign_with: str | None = None


class _BuildProgress:
    """The build stage's listener, told on as steps of the flow."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.output = progress.output
        self.notice = progress.notice

    def step(self, title: str, phase: Phase | None) -> None:
        self._progress.step(phase or "build", title)


def build(installation: Installation, app: AppName, choice: BuildChoice, progress: Progress) -> Built:
    """The commit is a build; found if it was built before. Raises: BuildError, InputError, MachineError."""
    with installation.using_store(progress):
        built = make_build(_request(installation, app, choice), _BuildProgress(progress))
    progress.step("build", f"{built.build.id} ({built.build.builder}): {_how(built)}")
    if choice.sign_with is not None:
        sign_build(installation.home, built.build, Pen(choice.sign_with, choice.repository, installation.caller))
        progress.step("build", f"{built.build.id}: signed")
    return built


def foresee(installation: Installation, app: AppName, choice: BuildChoice) -> Foreseen:
    """What `build` would find or make; nothing is. Raises: BuildError, InputError, MachineError."""
    return foresee_build(_request(installation, app, choice))


def find_source(installation: Installation, app: AppName, choice: BuildChoice) -> Source:
    """The commit that is meant. Raises: SourceError, MachineError."""
    return stage.find_source(_request(installation, app, choice))


def check(installation: Installation, app: AppName, choice: BuildChoice, progress: Progress) -> Checked:
    """The commit was built again from nothing, and compared with its build. Raises: BuildError, InputError, MachineError."""
    with installation.using_store(progress):
        return check_build(_request(installation, app, choice), _BuildProgress(progress))


def _request(installation: Installation, app: AppName, choice: BuildChoice) -> BuildRequest:
    return BuildRequest(
        home=installation.home,
        app=app,
        repository=choice.repository,
        revision=choice.revision,
        directory=choice.directory,
        rebuild=choice.rebuild,
        caller=installation.caller,
        actor=str(installation.actor),
    )


def _how(built: Built) -> str:
    """How the build came to be: how long it took, how large it is, and what was there already."""
    size = f"{built.build.size_bytes / 1e6:.2f} MB"
    if built.found:
        return f"found, nothing to build, {size}"
    reused = f", of that reused {_reused(built.reused)}" if built.reused else ""
    return f"done in {built.build.duration_s:.1f} s, {size}{reused}"


def _reused(layers: tuple[Layer, ...]) -> str:
    return f"{sum(layer.size_bytes for layer in layers) / 1e6:.2f} MB ({', '.join(layer.name for layer in layers)})"

"""Restore: the layers of an old build are on this machine again, checked out from the store or built from its commit."""

from pathlib import Path

from trivet.build import build_states, check_out
from trivet.errors import LayersPruned, SourceError
from trivet.flows.build import BuildChoice, build
from trivet.flows.installation import Installation, Progress
from trivet.model.build import Build
from trivet.model.frozen import frozen
from trivet.model.pruning import BuildState
from trivet.model.release import Release


@frozen
class Rebuilt:
    """What was built from the commit of an old build. `differences` name what is not as it was, a line each."""

    build: Build
    differences: tuple[str, ...]


def make_ready(installation: Installation, old: Build, progress: Progress) -> bool:
    """The build's layers are checked out, if they are still stored; False: it has to be built again."""
    with installation.using_store(progress):
        state = build_states(installation.home, old.app).get(old.id, BuildState.PRUNED)
        if state is BuildState.STORED:
            progress.step("build", f"{old.id}: checking out its stored layers")
        return state is not BuildState.PRUNED and check_out(installation.home, old)


def rebuild(installation: Installation, release: Release, progress: Progress) -> Rebuilt:
    """The commit of the release's build is a build again, and it is known what of that differs.

    Raises: LayersPruned, if its source is not to be had any more; otherwise as `deploy.build` does.
    """
    old = release.build
    source = old.source
    choice = BuildChoice(Path(source.repository), source.commit, source.directory)
    try:
        made = build(installation, old.app, choice, progress)
    except SourceError as error:
        raise LayersPruned(
            f"The build {old.id} of {release.name} was pruned and cannot be made again: "
            f"{error.message[:1].lower()}{error.message[1:]}",
            hint=f"Put a clone that has the commit {source.short} at {source.repository}, then run the command again. "
            "Nothing was changed.",
            detail=error.detail,
        ) from error
    return Rebuilt(made.build, tuple(_differences(old, made.build)))


def _differences(old: Build, new: Build) -> list[str]:
    before = {layer.name: layer.digest for layer in old.layers}
    after = {layer.name: layer.digest for layer in new.layers}
    names = dict.fromkeys((*before, *after))
    lines = [
        f"the layer {name!r} is {_short(after.get(name))}, and was {_short(before.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    ]
    if old.processes != new.processes:
        lines.append("the process types are others")
    if old.environment != new.environment:
        lines.append("the variables that the build sets are others")
    return lines


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "not there"

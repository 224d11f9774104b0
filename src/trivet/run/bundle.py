"""Bundle: what a release's processes are started from, checked to be what the build stage made before anything starts.

The machine's client does this, once for each command that starts something: it reads every byte. The supervisor does not
when it starts again what crashed, since what it runs is sealed.
"""

from collections.abc import Iterator
from pathlib import Path

from trivet.errors import AlteredLayer
from trivet.host.integrity import find_alterations
from trivet.model.build import Build
from trivet.model.home import Home


def check_bundle(home: Home, build: Build) -> None:
    """Every layer of the build is what was built, and the bundle leads to it. Raises: AlteredLayer, MachineError."""
    faults = (*_astray(home, build), *_altered(home, build))
    if faults:
        what, where = faults[0]
        raise AlteredLayer(
            f"Nothing was started from the build {build.id}: {what}.",
            hint=f"What runs was not touched. Move {where} away and make it anew: trivet deploy {build.source.short}. "
            "`trivet builds verify` names all that was altered.",
            detail=tuple(what for what, _ in faults[1:]),
        )


def _altered(home: Home, build: Build) -> Iterator[tuple[str, Path]]:
    return ((each.told, home.layers / each.layer.digest) for each in find_alterations(home, build.layers))


def _astray(home: Home, build: Build) -> Iterator[tuple[str, Path]]:
    for layer in build.layers:
        link = home.bundle(build.app, build.id) / layer.name
        if link.resolve() != (home.layers / layer.digest).resolve():
            yield f"{link} does not lead to the layer {layer.name!r}", home.build(build.app, build.id)

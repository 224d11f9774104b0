"""Foresight: what a build would be, told from the commit and from what is stored, without making anything.

The source is put into a temporary folder outside of the home, for the builder to plan from, and removed.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from trivet.build.confinement import check_home
from trivet.build.detect import FolderTree, choose_builder
from trivet.build.hooks import read_hooks
from trivet.build.identity import LayerInputs, input_key, layer_key
from trivet.build.lookup import UNCOMMITTED, still_runs
from trivet.build.processes import process_types
from trivet.build.record import Records
from trivet.build.request import BuildRequest, Foreseen
from trivet.build.schedule import schedule_of
from trivet.build.source import Commit, export, has_uncommitted_changes, read_commit
from trivet.build.store import Store
from trivet.build.trees import Trees
from trivet.build.uv import uv_version
from trivet.host.files import refused
from trivet.host.tree import hash_file
from trivet.model.build import IMAGE_LAYER, Build, Layer
from trivet.model.build_plan import BuildPlan, LayerPlan
from trivet.model.frozen import frozen
from trivet.model.output import HOOKS_FOLDER
from trivet.model.plan import LayerFate, PlannedBuild, PlannedLayer, planned
from trivet.model.settings import Settings, parse_settings

_UNKNOWN = "the build has to be made: whether that succeeds, and how large it gets, only making it tells"
_EXPECTED = "a layer is expected to be found if the machine's tools are those of the app's newest build"


def foresee_build(request: BuildRequest) -> Foreseen:
    """The build as it would be found or made. Raises: as `lookup.make_build` does before its first step."""
    check_home(request.home.root)
    commit = read_commit(request.repository, request.revision, request.directory)
    settings = parse_settings(commit.read("trivet.toml") or "")
    commit = commit.with_settings(settings)
    notices = (UNCOMMITTED.format(commit=commit.source.short),) if has_uncommitted_changes(commit) else ()
    key = input_key(commit.source, uv_version())
    try:
        with Records(request.home, looks_only=True) as records:
            found = None if request.rebuild else _find(request, records, key)
            if found is not None:
                return Foreseen(found[0], settings, found[1], notices)
            with tempfile.TemporaryDirectory(prefix="trivet-plan-") as folder:
                foreseen = _Unmade(request, records, commit, settings, Path(folder) / "source").plan(key)
    except OSError as error:
        raise refused(error, "look at the source") from error
    expected = (_EXPECTED,) if any(layer.fate is LayerFate.EXPECTED for layer in foreseen.layers) else ()
    return Foreseen(foreseen, settings, None, (*notices, _UNKNOWN, *expected))


def _find(request: BuildRequest, records: Records, key: str) -> tuple[PlannedBuild, Build] | None:
    """The build with this key, if all its layers are checked out or can be again."""
    build = records.known_build(request.app, key)
    if build is None or not still_runs(build):
        return None
    store = Store(request.home)
    layers = []
    for layer in build.layers:
        fate = fate_of(store, layer)
        if fate is None:
            return None
        layers.append(PlannedLayer(layer.name, fate, layer.size_bytes))
    return replace(planned(build), input_key=key, layers=tuple(layers)), build


def fate_of(store: Store, layer: Layer) -> LayerFate | None:
    """Whether the layer is checked out, or stored so that it can be; None: neither."""
    if store.has(layer.digest):
        return LayerFate.FOUND
    with Trees(store.home) as trees:
        return LayerFate.STORED if trees.has(layer.digest) else None


@frozen
class _Unmade:
    """A build that has to be made, as its builder plans it from the source in a temporary folder."""

    request: BuildRequest
    records: Records
    commit: Commit
    settings: Settings
    folder: Path

    def plan(self, key: str) -> PlannedBuild:
        """What is to be made, and which of its layers are likely there."""
        export(self.commit, self.folder)
        tree = FolderTree(self.folder, self.commit.folder)
        plan = choose_builder(tree, self.settings).plan(tree, self.settings)
        hooks = tuple(read_hooks(self.folder / self.commit.folder))
        layers = (*self._layers(plan), *((PlannedLayer(HOOKS_FOLDER, LayerFate.MADE),) if hooks else ()))
        processes = process_types(tree, plan, self.settings)
        schedule_of(tree, processes, self.settings)  # what is wrong with it is told before anything is made
        return PlannedBuild(
            source=self.commit.source,
            processes=processes,
            builder=plan.builder,
            input_key=key,
            layers=layers,
            is_image=any(layer.name == IMAGE_LAYER for layer in layers),
            hooks=hooks,
        )

    def _layers(self, plan: BuildPlan) -> list[PlannedLayer]:
        earlier = None if self.request.rebuild else self.records.newest_build(self.request.app)
        if earlier is not None and earlier.builder != plan.builder:
            earlier = None
        layers: list[PlannedLayer] = []
        before: tuple[Layer, ...] | None = ()  # None as soon as one is made: what comes after it, nobody can tell
        for each in plan.layers:
            if each.vendors is not None and not _had(earlier, each.name):
                continue  # it depends on where the tool is found
            layer = self._expected(each, earlier, before)
            before = (*before, layer) if before is not None and layer is not None else None
            fate = LayerFate.EXPECTED if layer is not None else LayerFate.MADE
            layers.append(PlannedLayer(each.name, fate, layer.size_bytes if layer is not None else None))
        return layers

    def _expected(self, plan: LayerPlan, earlier: Build | None, before: tuple[Layer, ...] | None) -> Layer | None:
        """The layer that is found if the tools are those of the earlier build."""
        if plan.inputs is None or earlier is None or before is None:
            return None
        files = {name: self._digest(name) for name in plan.inputs}
        layer = self.records.known_layer(layer_key(plan, LayerInputs(self.request.app, files, earlier.tools, before)))
        return layer if layer is not None and fate_of(Store(self.request.home), layer) else None

    def _digest(self, name: str) -> str:
        path = self.folder / self.commit.folder / name
        return hash_file(path) if path.is_file() else ""


def _had(earlier: Build | None, name: str) -> bool:
    return earlier is not None and any(layer.name == name for layer in earlier.layers)

"""The build stage at work: source → builder → plan → layers → build."""

import contextlib
from dataclasses import replace
from pathlib import Path

from trivet.build.confinement import Confinement, seclusion_here
from trivet.build.detect import FolderTree, choose_builder
from trivet.build.documents import Circumstances, write_documents
from trivet.build.environment import StepEnvironment, pythons_folder, rustup_folder
from trivet.build.execute import Workshop, adopt, use
from trivet.build.hooks import Hooks, find_misnamed, make_layer, read_hooks
from trivet.build.identity import LayerInputs, build_id, layer_key
from trivet.build.journal import Journal
from trivet.build.processes import process_types, tell_defaults
from trivet.build.record import Records, write_build, write_failed_log
from trivet.build.request import BuildRequest, Built, Listener
from trivet.build.schedule import schedule_of
from trivet.build.scratch import scratch_folder, view_root, work_folder
from trivet.build.source import Commit, export
from trivet.build.store import Store
from trivet.build.toolbox import folders_of
from trivet.errors import Interrupted, MachineError, TrivetError
from trivet.host.clock import monotonic_s, now
from trivet.host.command import interruptible
from trivet.host.files import make_directories
from trivet.host.limits import default_limits
from trivet.host.space import require_space
from trivet.host.tree import read_tree
from trivet.model.build import Build, Layer, Program
from trivet.model.build_plan import APP, BUNDLE, BuildPlan, LayerPlan, Phase
from trivet.model.frozen import frozen
from trivet.model.output import Part
from trivet.model.process import ProcessType
from trivet.model.settings import Settings

_NO_COMPONENTS = (
    "The bill of materials lists what is installed, but not what needs what: the tool that knows could not tell."
)
_FETCHED_BYTES = 100 * 10**6  # what even a few packages can take, with their archives and the cache


@frozen
class Job:
    """A build that has to be made."""

    request: BuildRequest
    commit: Commit
    settings: Settings
    input_key: str
    signers: str | None


def make(job: Job, records: Records, listener: Listener) -> Built:
    """The build was made and is on record; nothing half-made is left. Raises: as `lookup.make_build` does, and OSError."""
    message = "The build was interrupted; nothing of it is left."
    hint = "What runs was not touched. Run the command again to build."
    with interruptible(message, hint), scratch_folder(job.request.home.scratch) as scratch:
        log = scratch / "build.log"
        journal = Journal(listener, log)
        try:
            return _Making(job, records, _workshop(job, scratch, journal)).run()
        except Interrupted:
            raise
        except TrivetError as error:
            with contextlib.suppress(OSError, MachineError):  # on a full disk the error itself is what must be told
                journal.output(f"error: {error.message}")
                write_failed_log(job.request.home, job.request.app, log)
            raise
        finally:
            journal.close()


def _workshop(job: Job, scratch: Path, journal: Journal) -> Workshop:
    caller, cache = job.request.caller, job.request.home.cache(job.request.app)
    make_directories(cache)
    work, opens_network = work_folder(scratch), job.settings.build.network is not None
    return Workshop(
        work,
        StepEnvironment(work, caller, job.commit.committed_at, opens_network=opens_network),
        journal,
        export=lambda folder: export(job.commit, folder),
        folder=job.commit.folder,
        confinement=Confinement(
            root=view_root(scratch),
            scratch=work,
            cache=cache,
            home=job.request.home.root,
            pythons=job.request.home.pythons,
            caller=caller,
            limits=default_limits(scratch, caller.get("TRIVET_BUILD_LIMITS", "")),
            seclusion=seclusion_here(scratch, caller.get("TRIVET_SECLUSION", "")),
            opens_network=opens_network,
        ),
    )


class _Making:
    """One build being made in its workshop."""

    def __init__(self, job: Job, records: Records, workshop: Workshop) -> None:
        self._job = job
        self._records = records
        self._workshop = workshop
        self._store = Store(job.request.home)
        self._reused: tuple[Layer, ...] = ()
        self._began_s, self._began_at = monotonic_s(), now()

    def run(self) -> Built:
        """The build is stored and recorded."""
        tree = self._export()
        hooks = read_hooks(self._workshop.source / self._job.commit.folder)
        plan = choose_builder(tree, self._job.settings).plan(tree, self._job.settings)
        processes = process_types(tree, plan, self._job.settings)
        schedule = schedule_of(tree, processes, self._job.settings)
        for notice in (*plan.notices, *tell_defaults(tree, processes), *find_misnamed(tree)):
            self._workshop.journal.notice(notice)
        if any(step.phase is Phase.FETCH for layer in plan.layers for step in layer.steps):
            require_space(self._workshop.scratch, _FETCHED_BYTES)
        self._prepare(plan)
        made = (*self._layers(plan), *self._hooks_layer(hooks))
        build = replace(self._build(plan, processes, made, tuple(hooks)), schedule=schedule)
        build = replace(build, id=build_id(build))
        circumstances = Circumstances(
            self._job.request.home,
            self._job.request.revision,
            self._job.settings.build,
            self._job.signers,
            self._began_at,
        )
        documents = write_documents(self._workshop, plan, build, circumstances)
        written = write_build(self._job.request.home, build, self._workshop.journal.path.parent, documents)
        self._records.add_build(build)
        return Built(written, self._job.settings, self._job.input_key, found=False, reused=self._reused)

    def _export(self) -> FolderTree:
        workshop, source = self._workshop, self._job.commit.source
        workshop.journal.step(f"exporting {source.short} {source.subject}")
        workshop.export(workshop.source)
        workshop.bundle.mkdir()
        return FolderTree(workshop.source, self._job.commit.folder)

    def _prepare(self, plan: BuildPlan) -> None:
        """The workshop's places and the plan's tools are known."""
        workshop = self._workshop
        workshop.places = {
            "bundle": str(workshop.bundle),
            "app": str(workshop.bundle / "app" / workshop.folder),
            "source": str(workshop.source / workshop.folder),
            "scratch": str(workshop.scratch),
            "cache": str(workshop.confinement.cache),
            "pythons": str(pythons_folder(self._job.request.caller)),
            "fetched_pythons": str(workshop.confinement.pythons),
            "rustup": str(rustup_folder(self._job.request.caller)),
        }
        for tool in plan.tools:
            workshop.find(tool)

    def _layers(self, plan: BuildPlan) -> tuple[Layer, ...]:
        """All that were made or found, those that are only for the build as well."""
        made: tuple[Layer, ...] = ()
        for layer_plan in plan.layers:
            if layer_plan.vendors is None or self._can_move(layer_plan.vendors):
                made = (*made, self._layer(layer_plan, made))
        return made

    def _hooks_layer(self, hooks: Hooks) -> tuple[Layer, ...]:
        return (make_layer(hooks, self._workshop, self._store),) if hooks else ()

    def _can_move(self, tool: str) -> bool:
        """Whether the tool is one that uv has installed: those work wherever they are copied to."""
        kept = (pythons_folder(self._job.request.caller), self._job.request.home.pythons)
        path = Path(self._workshop.programs[tool].path)
        return any(path.is_relative_to(pythons.resolve()) for pythons in kept)

    def _layer(self, plan: LayerPlan, before: tuple[Layer, ...]) -> Layer:
        workshop = self._workshop
        if plan.inputs is None:
            return self._make_layer(plan)
        files = workshop.digests(plan.inputs)
        key = layer_key(plan, LayerInputs(self._job.request.app, files, workshop.programs, before))
        found = None if self._job.request.rebuild else self._records.find_layer(key)
        if found is not None:
            workshop.journal.step(f"{plan.name}: unchanged")
            use(workshop, self._store, found)
            self._reused = (*self._reused, found)
            return found
        layer = self._make_layer(plan)
        self._records.add_layer(key, layer)
        return layer

    def _make_layer(self, plan: LayerPlan) -> Layer:
        workshop = self._workshop
        if any(step.uses_earlier for step in plan.steps):
            workshop.places = {**workshop.places, "earlier": str(self._earlier(plan.name) or "/nonexistent")}
        return adopt(workshop, self._store, workshop.make(plan), plan)

    def _earlier(self, name: str) -> Path | None:
        """The same layer of the app's newest build, if that was made with the same tools and the layer is as it was."""
        build = None if self._job.request.rebuild else self._records.newest_build(self._job.request.app)
        if build is None or build.tools != self._workshop.programs:
            return None
        layer = next((layer for layer in build.layers if layer.name == name), None)
        if layer is None or not self._store.has(layer.digest):
            return None
        path = self._store.path(layer.digest)
        return path if read_tree(path).digest == layer.digest else None  # it must not spread what was altered

    def _build(
        self, plan: BuildPlan, processes: tuple[ProcessType, ...], made: tuple[Layer, ...], hooks: tuple[Part, ...]
    ) -> Build:
        for_build = {each.name for each in plan.layers if each.only_for_build}
        layers = tuple(layer for layer in made if layer.name not in for_build)
        source, programs = self._job.commit.source, self._workshop.programs
        vendored = {each.vendors for each in plan.layers if each.vendors is not None and self._can_move(each.vendors)}
        runtime = next((tool.name for tool in plan.tools if tool.is_runtime and tool.name not in vendored), None)
        app = "/".join(filter(None, (f"{BUNDLE}/app", self._workshop.folder)))
        environment = {name: value.replace(APP, app) for name, value in plan.environment.items()}
        environment = _with_runtime(environment, programs[runtime]) if runtime else environment
        return Build(
            id="",
            app=self._job.request.app,
            source=source,
            builder=plan.builder,
            input_key=self._job.input_key,
            layers=layers,
            processes=processes,
            environment=environment,
            tools=programs,
            runtime=runtime,
            created_at=now(),
            duration_s=round(monotonic_s() - self._began_s, 3),
            confinement=self._workshop.confinement.describe(),
            folder=self._workshop.folder,
            made_with=tuple(layer for layer in made if layer.name in for_build),
            declarations=self._job.settings.config,
            release=self._job.settings.release,
            hooks=hooks,
        )


def _with_runtime(environment: dict[str, str], program: Program) -> dict[str, str]:
    """The environment in which the program is found by its name, if it is not on the machine's PATH."""
    folders = (environment.get("PATH", ""), *folders_of({"runtime": program}))
    path = ":".join(filter(None, folders))
    return {**environment, "PATH": path} if path else environment

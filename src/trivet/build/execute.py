"""The executor: carries out any plan, layer by layer. It decides nothing but what a failed step means."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trivet.build.confinement import Confinement
from trivet.build.environment import SYSTEM_PATH, StepEnvironment
from trivet.build.journal import Journal
from trivet.build.links import borrow, connect, give_back
from trivet.build.scratch import check_folder, keep_folders, renew_folders
from trivet.build.store import Store
from trivet.build.toolbox import find_program, folders_of, search_path
from trivet.errors import LockfileError, MachineError, StepFailed
from trivet.host.command import Answer, Command, capture, describe_status, stream
from trivet.host.files import make_directories, remove_tree
from trivet.host.tree import hash_file
from trivet.model.build import Layer, Program
from trivet.model.build_plan import SOURCE, LayerPlan, Phase, Step, Tool

_STEP_DEADLINE_S = 24 * 3600.0  # the build's own limit comes before
_ALMOST_FULL_BYTES = 1 << 20


@dataclass(slots=True)
class Workshop:
    """One build's places and how its commands are run in them. `export` puts the source into a folder.

    `scratch` is where its steps work, `folder` the app's folder in the source.
    """

    scratch: Path
    environment: StepEnvironment
    journal: Journal
    export: Callable[[Path], None]
    confinement: Confinement
    places: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, Program] = field(default_factory=dict)
    layers: tuple[Path, ...] = ()
    folder: str = ""
    _is_dirty: bool = False
    _has_compiled: bool = False

    @property
    def source(self) -> Path:
        return self.scratch / "source"

    @property
    def bundle(self) -> Path:
        return self.scratch / "bundle"

    def run(self, step: Step) -> None:
        """The step was done. Raises: StepFailed, LockfileError, MachineError."""
        self.journal.step(step.title, step.phase)
        self._is_dirty = self._is_dirty or step.directory == SOURCE
        if step.phase is Phase.FETCH and self._has_compiled:
            renew_folders(self.scratch)
        self._has_compiled = self._has_compiled or step.phase is Phase.COMPILE
        status = stream(self._command(step), self.journal.output)
        keep_folders(self.scratch)
        if status != 0 and status not in step.tolerated:
            raise self._failure(step, status)

    def try_out(self, step: Step) -> bool:
        """Whether the step was done; nobody is told of it. Raises: MachineError."""
        status = stream(self._command(step), lambda _: None)
        keep_folders(self.scratch)
        return status == 0

    def make(self, plan: LayerPlan) -> Path:
        """The layer's folder holds what the plan says. Raises: as `run` does."""
        folder = self.bundle / plan.name
        remove_tree(folder)  # whatever an earlier step put there
        if plan.with_source:
            self._put_source(folder)
        for name, content in plan.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        for link in plan.borrows:
            borrow(self.bundle, folder, link)
        for step in plan.steps:
            if step.beside is None or (self.bundle / step.beside).exists():
                self.run(step)
        give_back(folder, plan.borrows)
        check_folder(folder, self.scratch)
        for link in plan.links:
            connect(self.bundle, folder, link)
        return folder

    def digests(self, inputs: tuple[str, ...]) -> Mapping[str, str]:
        """The sha256 of files of the source; "" for one that is not there."""
        return {
            name: hash_file(path) if (path := self.source / self.folder / name).is_file() else "" for name in inputs
        }

    def find(self, tool: Tool) -> None:
        """The tool is among the programs, and steps find it in its place. Raises: MachineError if there is none."""
        answer = self._look_for(tool) if tool.find else None
        program = find_program(tool, self.environment.caller, answer, self.confinement.pythons)
        self.programs = {**self.programs, tool.name: program}
        folder = str(Path(program.path).parent)
        self.places = {**self.places, tool.name: program.path, f"{tool.name}_folder": folder}

    def _look_for(self, tool: Tool) -> str:
        """Where the tool's steps find it, after it was fetched if need be. Raises: as `run` does."""
        answers = []
        for step in tool.find:
            answers.append(self._ask(step))
            if _is_found(answers[-1]):
                return answers[-1].text
        if tool.fetch is not None:
            make_directories(self.confinement.pythons)
            self.run(tool.fetch)
            answers.append(self._ask(tool.find[-1]))
            if _is_found(answers[-1]):
                return answers[-1].text
        raise MachineError(
            f"No {tool.name.capitalize()} on this machine suits the app.",
            hint=tool.hint,
            detail=tuple(answers[0].err.strip().splitlines()),
        )

    def _ask(self, step: Step) -> Answer:
        """What a step that looks for a tool says. It is not confined, since what it looks for may be anywhere."""
        return capture(replace(self._command(step, search_path({})), confined=None))

    def _put_source(self, folder: Path) -> None:
        """What was exported for looking at is used, unless a step may have written into it."""
        if self._is_dirty:
            self.export(folder)
        else:
            self.source.rename(folder)

    def _command(self, step: Step, path: str = "") -> Command:
        own = {name: self.environment.caller[name] for name in step.passes if name in self.environment.caller}
        own |= {name: value.format_map(self.places) for name, value in step.environment.items()}
        path = path or ":".join((SYSTEM_PATH, *folders_of(self.programs)))
        environment = self.environment.with_own(own, path, step.phase)
        argv = tuple(argument.format_map(self.places) for argument in step.argv)
        folder = Path(step.directory.format_map(self.places))
        earlier = Path(self.places["earlier"]) if step.uses_earlier else None
        layers = (*self.layers, earlier) if earlier and earlier.exists() else self.layers
        confined = None if step.phase is Phase.ENGINE else self.confinement.of(step, self.programs, layers)
        return Command(argv, folder, environment, _STEP_DEADLINE_S, confined)

    def _failure(self, step: Step, status: int) -> StepFailed | LockfileError | MachineError:
        if shutil.disk_usage(self.scratch).free < _ALMOST_FULL_BYTES:
            return MachineError(
                f"The disk is full: {step.title} could not be finished.",
                hint="Free some space (df -h shows where) and run the command again.",
                detail=self.journal.tail,
            )
        if step.checks and status == step.differs:
            return LockfileError(
                f"{step.checks} does not match its manifest.", hint=step.hint, detail=self.journal.tail
            )
        title = f"{step.title[:1].upper()}{step.title[1:]}"
        return StepFailed(
            step.finding if step.finding and status == 1 else f"{title} ended with {describe_status(status)}.",
            hint=f"{step.hint} `trivet builds log failed` shows all the output.".strip(),
            detail=self.journal.tail,
        )


def _is_found(answer: Answer) -> bool:
    return answer.status == 0 and bool(answer.text)


def adopt(workshop: Workshop, store: Store, folder: Path, plan: LayerPlan) -> Layer:
    """The layer is stored, and later steps find the stored one in its place."""
    layer = store.keep(folder, plan.name, workshop.environment.committed_at)
    use(workshop, store, layer)
    return layer


def use(workshop: Workshop, store: Store, layer: Layer) -> None:
    """A stored layer stands in the bundle."""
    path = store.path(layer.digest)
    for name in layer.names:
        (workshop.bundle / name).symlink_to(path)
    workshop.layers = (*workshop.layers, path)

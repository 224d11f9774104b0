"""Documents: what lies beside a build, `BuildDocument`s all: how it was made, and what it consists of.

They are written before the build is in the index.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from trivet.build import memory
from trivet.build.components import Component, installed
from trivet.build.execute import Workshop
from trivet.build.memory import Memory
from trivet.build.provenance import Making, write_provenance
from trivet.build.sbom import read_told, write_sbom
from trivet.host.tree import hash_file
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.build_plan import COMPONENTS, BuildPlan, Step
from trivet.model.document import canonical, from_json, write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.settings import BuildSettings
from trivet.model.timings import Timings

_NO_TOOL = "The bill of materials lists what is installed, but not what needs what: the tool that knows could not tell."


@frozen
class Circumstances:
    """How a build was asked for, and when it began. `signers` are those who may sign it (None: it need not be signed)."""

    home: Home
    revision: str
    settings: BuildSettings
    signers: str | None
    began_at: str


def write_documents(workshop: Workshop, plan: BuildPlan, build: Build, asked: Circumstances) -> Mapping[str, bytes]:
    """All documents of the build by their names. Raises: OSError, MachineError."""
    with memory.opened(asked.home) as remembered:
        sbom = _list_components(workshop, plan, build, remembered)
        programs = {name: remembered.hash_program(program) for name, program in build.tools.items()}
    timings = Timings(asked.began_at, build.created_at, workshop.journal.times())
    documents: dict[str, bytes] = {
        BuildDocument.BUILD: write_document(build).encode(),
        BuildDocument.TIMINGS: write_document(timings).encode(),
        BuildDocument.SBOM: sbom.encode(),
        BuildDocument.LOG: workshop.journal.path.read_bytes(),
    }
    if asked.signers is not None:
        documents[BuildDocument.SIGNERS] = asked.signers.encode()
    making = Making(asked.revision, asked.settings, programs, asked.began_at, build.created_at)
    return {**documents, BuildDocument.PROVENANCE: write_provenance(build, making, documents).encode()}


def _list_components(workshop: Workshop, plan: BuildPlan, build: Build, remembered: Memory) -> str:
    """The bill of materials; for a layer that was listed before, and lockfiles that were, nothing is read or run.

    What is read is read in the store: in the bundle's folder, commands of the build may have put anything.
    """
    found: set[Component] = set()
    stored = {path.name: path for path in workshop.layers}
    for layer in build.layers:
        listed = remembered.recall(["components", layer.digest], partial(_read_layer, stored[layer.digest]))
        found.update(from_json(tuple[Component, ...], json.loads(listed), name="remembered components"))
    told = ""
    if plan.listing is not None:
        app = next(stored[layer.digest] for layer in build.layers if layer.name == "app") / workshop.folder
        inputs = {name: _hash_or_nothing(app / name) for name in plan.listing.inputs}
        question = ["listing", plan.listing, inputs, workshop.programs]
        told = remembered.recall(question, partial(_ask_tool, workshop, plan.listing.step))
    return write_sbom(build, sorted(found), read_told(told))


def _read_layer(folder: Path) -> str:
    return canonical(installed(folder))


def _ask_tool(workshop: Workshop, step: Step) -> str:
    path = Path(COMPONENTS.format_map(workshop.places))
    if workshop.try_out(step) and path.is_file() and not path.is_symlink():
        return path.read_text(encoding="utf-8", errors="replace")
    workshop.journal.notice(_NO_TOOL)
    return ""


def _hash_or_nothing(path: Path) -> str:
    return hash_file(path) if path.is_file() and not path.is_symlink() else ""

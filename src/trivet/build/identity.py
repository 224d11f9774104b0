"""Identity: what a build is known by before it is made (its input key), and after (its id)."""

import hashlib
import platform
from collections.abc import Mapping

from trivet.model.build import Build, Layer, Program
from trivet.model.build_plan import LayerPlan
from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.model.names import AppName
from trivet.model.source import Source

SCHEMA = 8  # of builders and plans: whoever changes what a builder makes of a source counts it up


def input_key(source: Source, uv_version: str) -> str:
    """What decides a build. The settings, the lockfile and the Procfile are in the commit."""
    return _digest(["input", SCHEMA, source.commit, source.directory, _platform(), uv_version])


@frozen
class LayerInputs:
    """What decides a layer beside its plan: the app, the content of files, the tools, and the layers before it.

    The app, because its earlier builds may have put anything into its cache: no other app is to be given that.
    """

    app: AppName
    files: Mapping[str, str]
    tools: Mapping[str, Program]
    before: tuple[Layer, ...]


def layer_key(plan: LayerPlan, inputs: LayerInputs) -> str:
    """What a layer is found by."""
    before = [layer.digest for layer in inputs.before]
    return _digest(["layer", SCHEMA, inputs.app, plan, inputs.files, inputs.tools, _platform(), before])


def build_id(build: Build) -> str:
    """12 hex digits for what the build is made from, consists of, and says of itself; its own `id` is no part of that."""
    consists = [build.layers, build.processes, build.environment, build.release, *build.schedule]
    return _digest(["build", build.source.commit, build.source.directory, *consists])[:12]


def _platform() -> list[str]:
    return [platform.machine(), *platform.libc_ver()]


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()

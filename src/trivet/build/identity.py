"""Identity: what a build is known by before it is made (its input key), and after (its id)."""

import hashlib
import platform
from collections.abc import Mapping, Sequence

from trivet.model.build import Layer
from trivet.model.build_plan import LayerPlan
from trivet.model.document import canonical
from trivet.model.process import ProcessType
from trivet.model.source import Source

SCHEMA = 2  # of builders and plans: whoever changes what a builder makes of a source counts it up


def input_key(source: Source, uv_version: str) -> str:
    """What decides a build. The settings, the lockfile and the Procfile are in the commit."""
    return _digest(["input", SCHEMA, source.commit, source.directory, _platform(), uv_version])


def layer_key(plan: LayerPlan, inputs: Mapping[str, str], tools: Mapping[str, str], before: Sequence[Layer]) -> str:
    """What decides a layer: its plan, the content of its inputs, the tools, and the layers that its steps may use."""
    return _digest(["layer", SCHEMA, plan, inputs, tools, _platform(), [layer.digest for layer in before]])


def build_id(
    source: Source, layers: Sequence[Layer], processes: Sequence[ProcessType], environment: Mapping[str, str]
) -> str:
    """12 hex digits for what the build is made from and consists of."""
    return _digest(["build", source.commit, source.directory, layers, processes, environment])[:12]


def _platform() -> list[str]:
    return [platform.machine(), *platform.libc_ver()]


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()

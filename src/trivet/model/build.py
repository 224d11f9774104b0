"""Build: what the build stage made of a source. It holds no config."""

from collections.abc import Mapping
from dataclasses import field

from trivet.model.declaration import Declaration
from trivet.model.frozen import frozen
from trivet.model.names import AppName
from trivet.model.output import Part
from trivet.model.process import ProcessType
from trivet.model.release_settings import ReleaseSettings
from trivet.model.schedule import Scheduled
from trivet.model.source import Source

RUNTIME = "runtime"  # the layer that is a vendored interpreter
IMAGE_LAYER = "image"  # a whole container image, as an OCI image layout


@frozen
class Layer:
    """One immutable tree of a build.

    `name` is its folder in the bundle ("app", "dependencies"), `digest` the sha256 of the tree in hex.
    """

    name: str
    digest: str
    files: int
    size_bytes: int

    @property
    def names(self) -> tuple[str, ...]:
        """What it goes by in a bundle. Another layer may link to the runtime, and then names it by its digest."""
        return (self.name, self.digest) if self.name == RUNTIME else (self.name,)


@frozen
class Program:
    """A program of the machine by its real path, and the version that it says it has."""

    path: str
    version: str


@frozen
class Build:
    """An executable bundle: layers, process types, and the variables that make its programs found.

    `id` is 12 hex digits derived from the source commit and what the build consists of. In the values of `environment`,
    `{bundle}` stands for the bundle's absolute path; PATH is put before the machine's. Processes start in
    `{bundle}/app`, in `folder` below it if the source holds more than the app ("" if not). `tools` are the programs that
    made it, `runtime` the one among them that the bundle relies on when it runs (None: none), checked before a start.
    `created_at` is ISO 8601 in UTC. `confinement` is what the machine enforced on the steps: `seclusion`, `landlock`,
    `network`. `made_with` are layers that only the making needed: no part of the bundle, kept with it for the next build.
    `declarations` say which config a release of it needs; they hold no config.
    `release` says how the commands around a release are run, `hooks` which of them are hooks of the app, in `{bundle}/hooks`.
    `schedule` is what its releases run at times.
    """

    id: str
    app: AppName
    source: Source
    builder: str
    input_key: str
    layers: tuple[Layer, ...]
    processes: tuple[ProcessType, ...]
    environment: Mapping[str, str]
    tools: Mapping[str, Program]
    runtime: str | None
    created_at: str
    duration_s: float
    confinement: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    made_with: tuple[Layer, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    hooks: tuple[Part, ...] = ()
    schedule: tuple[Scheduled, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)

    @property
    def is_image(self) -> bool:
        """Whether it is a container image: its processes are to be started by an engine for containers."""
        return any(layer.name == IMAGE_LAYER for layer in self.layers)

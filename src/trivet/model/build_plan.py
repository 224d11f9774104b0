"""Build plan: what a builder wants done, as plain data. One executor carries out any plan.

In a step's argv and environment, and in a plan's environment, `{bundle}` stands for the bundle's folder and `{app}` for
the app's folder in it; in a step also `{source}` (the app's folder in an export of the commit that steps may dirty),
`{scratch}`, `{cache}` (the app's own, kept between its builds), `{earlier}` (the same layer of the app's newest build with
the same tools, if there is one; to be read), `{pythons}` (where uv keeps the user's Pythons), `{fetched_pythons}` (those that
builds have fetched), `{rustup}` (where rustup keeps the user's toolchains), the path of each of the plan's tools by its
name, such as `{uv}`, and the folder that it is in, such as `{uv_folder}`. They are fields of `str.format`; what the app itself
wrote goes through `literal`.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from trivet.model.frozen import frozen

BUNDLE = "{bundle}"
APP = "{app}"
SOURCE = "{source}"
SCRATCH = "{scratch}"
CACHE = "{cache}"
UV = "{uv}"
PYTHON = "{python}"
PYTHONS = "{pythons}"
FETCHED_PYTHONS = "{fetched_pythons}"
EARLIER = "{earlier}"
COMPONENTS = "{scratch}/components.json"
RUSTUP = "{rustup}"
NODE = "{node}"
NODE_FOLDER = "{node_folder}"
NPM = "{npm}"


class SourceTree(Protocol):
    """A commit's files, to be looked at."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the app by its path from the app's folder, with '/', sorted."""

    def read(self, path: str) -> str | None:
        """The file's text, undecodable bytes replaced; None if there is no such file.

        A path may lead up to files of the source that lie outside the app's folder.
        """

    @property
    def above(self) -> str:
        """The way from the app's folder up to the source's, "../..", "" if they are one."""

    @property
    def top(self) -> "SourceTree":
        """The whole source, as if all of it were the app."""


class Phase(StrEnum):
    """FETCH reaches the network and runs no code of the app or of a package; COMPILE may run it, without the network.

    ENGINE asks a container engine (docker, podman), which works outside of the build's walls: only the engine's own hold.
    """

    FETCH = "fetch"
    COMPILE = "compile"
    ENGINE = "engine"


@frozen
class Step:
    """One command. `hint` is what a person can do when it fails.

    It may write to the app's cache, or read `{earlier}`, only if its argv or environment names it: commands of the app do not.
    `checks` names the lockfile whose agreement with its manifest the command tests: exit status `differs` then means that
    they differ. `finding` is what exit status 1 of another test means, as a sentence.
    `tolerated` are exit statuses that are as good as 0. `passes` are variables of whoever asks for the build that the
    command gets, if they are set: where to fetch from, for example; what can hold a password goes to no COMPILE step.
    `beside` is the layer without which there is nothing to do.
    """

    title: str
    argv: tuple[str, ...]
    phase: Phase = Phase.COMPILE
    directory: str = SOURCE
    environment: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    checks: str | None = None
    differs: int = 1
    finding: str | None = None
    tolerated: tuple[int, ...] = ()
    passes: tuple[str, ...] = ()
    beside: str | None = None

    @property
    def uses_cache(self) -> bool:
        return self._names(CACHE)

    @property
    def fetches_python(self) -> bool:
        return self.phase is Phase.FETCH and self._names(FETCHED_PYTHONS)

    @property
    def uses_earlier(self) -> bool:
        return self._names(EARLIER)

    def _names(self, place: str) -> bool:
        return any(place in text for text in (*self.argv, *self.environment.values()))


@frozen
class Tool:
    """A program of the machine that steps run, as `{name}`; its version is part of what decides a layer.

    `find` are steps whose output is its path, tried in their order (none: the first of this name on PATH; `uv` is the one
    that comes with Trivet). If none of them finds it, `fetch` may bring it, and the last of them looks again.
    `ask_version` are the arguments that make it say its version. `hint` is what a person can do if there is none.
    `is_runtime`: the bundle relies on it when it runs; then it answers to `--version`.
    `wanted` are the versions that suit, as a range of npm's (https://github.com/npm/node-semver#ranges), and `wanted_by`
    says where that stands; of several programs on PATH the first that suits is taken.
    """

    name: str
    hint: str = ""
    find: tuple[Step, ...] = ()
    fetch: Step | None = None
    ask_version: tuple[str, ...] = ("--version",)
    is_runtime: bool = False
    wanted: str = ""
    wanted_by: str = ""


@frozen
class Link:
    """What stands at `path` in the earlier layer `layer` is seen at the same path of this one, and stays where it is.

    Links of that layer are made anew, so that those which lead out of `path` lead to this layer's files.
    `is_copied`: what is borrowed is copied, for tools that refuse what lies outside of the app's folder.
    """

    path: str
    layer: str
    is_copied: bool = False


@frozen
class LayerPlan:
    """How one layer comes to be, in its folder `{bundle}/NAME`: the source if `with_source`, `files`, then the steps.

    `inputs` are the files of the source that decide what is in it, together with the plan itself, the tools and the
    layers before it: while they are unchanged the layer is found, not made. None: anything may decide, so it is always
    made. `vendors` is the tool that the layer is a copy of: it is left out where that cannot be moved, and where it is
    there, the bundle relies on no tool of the machine.
    """

    name: str
    steps: tuple[Step, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    with_source: bool = False
    vendors: str | None = None
    borrows: tuple[Link, ...] = ()
    links: tuple[Link, ...] = ()
    only_for_build: bool = False


@frozen
class NoDefault:
    """Why a builder sees no way to start an app: half a sentence with the facts, and what a person can do."""

    reason: str
    hint: str


@frozen
class Listing:
    """How a tool says what an app consists of: the step writes a CycloneDX document (JSON) to `COMPONENTS`.

    `inputs` are the files of the app's folder that decide what it says.
    """

    step: Step
    inputs: tuple[str, ...]


@frozen
class BuildPlan:
    """All that a builder decided. `tools` are found in their order; a later one's `find` may use an earlier one.

    `environment` is what processes of the bundle get (see `Build.environment`), `processes` the commands by process
    type where the source has no Procfile; `no_default` says why there are none. `listing` is how the
    ecosystem's own tool says what the app consists of.
    """

    builder: str
    layers: tuple[LayerPlan, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[Tool, ...] = ()
    notices: tuple[str, ...] = ()
    no_default: NoDefault | None = None
    listing: Listing | None = None


def literal(text: str) -> str:
    """Text of the app in which nothing is a place to be filled in."""
    return text.replace("{", "{{").replace("}", "}}")

"""Build plan: what a builder wants done, as plain data. One executor carries out any plan.

In a step's argv and environment, and in a plan's environment, `{bundle}` stands for the bundle's folder; in a step also
`{source}` (an export of the commit that steps may dirty), `{scratch}`, `{cache}` (kept between builds), `{uv}`,
`{interpreter}` and `{pythons}` (where uv keeps the user's Pythons). They are fields of `str.format`; what the app itself
wrote goes through `literal`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

BUNDLE = "{bundle}"
SOURCE = "{source}"
SCRATCH = "{scratch}"
CACHE = "{cache}"
UV = "{uv}"
INTERPRETER = "{interpreter}"
PYTHONS = "{pythons}"


class SourceTree(Protocol):
    """A commit's files, to be looked at."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file's path from the top, with '/', sorted."""

    def read(self, path: str) -> str | None:
        """The file's text, undecodable bytes replaced; None if there is no such file."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `hint` is what a person can do when it fails.

    `checks` names the lockfile whose agreement with its manifest the command tests: exit status 1 then means that they
    differ. `finding` is what exit status 1 of another test means, as a sentence.
    `tolerated` are exit statuses that are as good as 0.
    """

    title: str
    argv: tuple[str, ...]
    directory: str = SOURCE
    environment: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    checks: str | None = None
    finding: str | None = None
    tolerated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """How one layer comes to be, in its folder `{bundle}/NAME`: the source if `with_source`, `files`, then the steps.

    `inputs` are the files of the source that decide what is in it, together with the plan itself, the tools and the
    layers before it: while they are unchanged the layer is found, not made. None: anything may decide, so it is always
    made.
    """

    name: str
    steps: tuple[Step, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    with_source: bool = False


@dataclass(frozen=True, slots=True)
class NoDefault:
    """Why a builder sees no way to start an app: half a sentence with the facts, and what a person can do."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """All that a builder decided. `interpreter` is the step whose output names the Python the bundle relies on.

    `environment` is what processes of the bundle get (see `Build.environment`), `processes` the commands by process
    type where the source has no Procfile; `no_default` says why there are none.
    """

    builder: str
    layers: tuple[LayerPlan, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, str] = field(default_factory=dict)
    interpreter: Step | None = None
    notices: tuple[str, ...] = ()
    no_default: NoDefault | None = None


def literal(text: str) -> str:
    """Text of the app in which nothing is a place to be filled in."""
    return text.replace("{", "{{").replace("}", "}}")

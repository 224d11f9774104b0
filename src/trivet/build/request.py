"""What the build stage is asked, what it tells meanwhile, and what it answers."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trivet.model.build import Build, Layer
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName

if TYPE_CHECKING:
    from trivet.model.build_plan import Phase
    from trivet.model.plan import PlannedBuild
    from trivet.model.settings import Settings


@frozen
class BuildRequest:
    """Build the commit that `revision` names; `directory` is the app's folder in the repository, "" its top.

    Of `caller`, the environment of whoever asks, only the proxy and certificate settings are used; `actor` is who that is.
    """

    home: Home
    app: AppName
    repository: Path
    revision: str
    directory: str = ""
    rebuild: bool = False
    caller: Mapping[str, str] = field(default_factory=dict, repr=False)
    actor: str = ""


class Listener(Protocol):
    """Whoever watches a build."""

    def step(self, title: str, phase: "Phase | None") -> None:
        """A step begins: "exporting 1a2b3c4d"; its phase, if it is a command's."""

    def output(self, line: str) -> None:
        """A command of the build wrote this line; colours and control characters but tabs are gone from it."""

    def notice(self, text: str) -> None:
        """Something that the person should know; told once."""


@frozen
class Built:
    """The build, what its `trivet.toml` says, and whether it was there already; else which of its layers were.

    `input_key` is the one that was asked for: what was made may be a build that another key had made before.
    """

    build: Build
    settings: "Settings"
    input_key: str
    found: bool
    reused: tuple[Layer, ...] = ()


@frozen
class Foreseen:
    """What a build of the request would be, as far as that can be told without making it.

    `made` is the build if it is there already; `notices` are what a person should know of it, and of what cannot be told.
    """

    build: "PlannedBuild"
    settings: "Settings"
    made: Build | None
    notices: tuple[str, ...] = ()

"""Confinement: what each step of a build sees of the machine, may write, and how much it may take.

Steps read the system, the toolchains of the plan, and the layers made so far; they write to the scratch folder, and to the
app's cache if they name it. A step that compiles has no network, unless trivet.toml asks for it.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from trivet.build.environment import SYSTEM_PATH, private_places, taken_files
from trivet.build.scratch import make_folders, view_root, work_folder
from trivet.build.toolbox import tool_folders
from trivet.errors import MachineError
from trivet.host.command import Command, stream
from trivet.host.limits import Limits
from trivet.host.sandbox import Sandbox
from trivet.host.seclusion import Confined, Seclusion, find_seclusion, network_enforced
from trivet.host.view import View, exposed
from trivet.model.build import Program
from trivet.model.build_plan import Phase, Step
from trivet.model.frozen import frozen

_TRY_S = 30.0


@frozen
class Confinement:
    """How one build's steps are confined. `opens_network`: trivet.toml wants the network while compiling, too."""

    root: Path
    scratch: Path
    cache: Path
    home: Path
    pythons: Path
    caller: Mapping[str, str]
    limits: Limits
    seclusion: Seclusion
    opens_network: bool

    def of(self, step: Step, programs: Mapping[str, Program], layers: tuple[Path, ...]) -> Confined:
        """What this step is confined to, with these programs found and these layers made."""
        private = private_places(self.caller, self.home)
        return Confined(
            View(
                root=self.root,
                temporary=self.scratch / "tmp",
                readable=(
                    *tool_folders(programs, self.caller, self.home),
                    *taken_files(self.caller, step.phase, private),
                    *layers,
                ),
                writable=self._writable(step),
                network=step.phase is Phase.FETCH or self.opens_network,
            ),
            self.seclusion,
            self.limits,
        )

    def _writable(self, step: Step) -> tuple[Path, ...]:
        cache = (self.cache,) if step.uses_cache else ()
        return (self.scratch, *cache, *((self.pythons,) if step.fetches_python else ()))

    def describe(self) -> Mapping[str, str]:
        """What was enforced, for the record: `network` is what is kept from steps that compile."""
        return _describe(self.seclusion, "open, as trivet.toml asks" if self.opens_network else "")


def seclusion_here(scratch: Path, chosen: str = "") -> Seclusion:
    """The strongest way to confine a command that works on this machine now, or the chosen one.

    Each that could work is tried in the scratch folder with a command that does nothing. Raises: MachineError, InputError.
    """

    work = work_folder(scratch)

    def works(way: Seclusion) -> bool:
        confined = Confined(View(view_root(scratch), work / "tmp", writable=(work,)), way)
        command = Command(("true",), work, {"PATH": SYSTEM_PATH}, _TRY_S, confined)
        return stream(command, lambda _: None) == 0

    return find_seclusion(chosen, works)


def check_home(home: Path) -> None:
    """No step sees Trivet's home. Raises: MachineError, if it lies in what every step may read."""
    if folder := exposed((home,)):
        raise MachineError(
            f"Trivet's home {home} lies in {folder}, which every build may read.",
            hint="Move it, for example to /var/lib/trivet, and set TRIVET_HOME.",
        )


def describe_here(caller: Mapping[str, str]) -> Mapping[str, str]:
    """What would be enforced on a build of this caller. Raises: MachineError, InputError."""
    with tempfile.TemporaryDirectory(prefix="trivet-") as folder:
        make_folders(Path(folder))
        return _describe(seclusion_here(Path(folder), caller.get("TRIVET_SECLUSION", "")))


def _describe(seclusion: Seclusion, network: str = "") -> Mapping[str, str]:
    return {
        "seclusion": seclusion,
        "landlock": str(Sandbox().sealing.abi),
        "network": network or network_enforced(seclusion),
    }

"""Toolbox: the programs of the machine that a plan asks for, found and asked for their versions before its first step."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivet.build.environment import SYSTEM_PATH, private_places, pythons_folder, rustup_folder
from trivet.build.ranges import suits
from trivet.build.uv import find_uv, uv_version
from trivet.errors import MachineError
from trivet.host.command import Command, capture
from trivet.host.view import toolchain
from trivet.model.build import Program
from trivet.model.build_plan import Tool
from trivet.model.home import Home

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_DEADLINE_S = 30.0


def find_program(tool: Tool, caller: Mapping[str, str], answer: str | None, fetched: Path) -> Program:
    """The tool on this machine. `answer` is what its `find` step said (None: it has none): it must be in a usual place.

    Without that step it is the first of its name on the machine's PATH, then on the caller's; uv comes with Trivet.
    Raises: MachineError if there is none.
    """
    if answer is not None:
        _check_place(answer, caller, fetched)
        return _identify(tool, answer)
    if tool.name == "uv":
        return _identify(tool, find_uv())
    found = [_identify(tool, path) for path in _all_on_path(tool.name, search_path(caller))]
    if not found:
        return _identify(tool, "")
    suitable = next((program for program in found if suits(program.version, tool.wanted)), None)
    if suitable is None:
        raise _unsuitable(tool, found)
    return suitable


def _all_on_path(name: str, path: str) -> Iterator[str]:
    """The programs of this name, the first on PATH first, each once."""
    seen = set()
    for folder in path.split(":"):
        found = shutil.which(name, path=folder)
        if found and os.path.realpath(found) not in seen:
            seen.add(os.path.realpath(found))
            yield found


def _unsuitable(tool: Tool, found: list[Program]) -> MachineError:
    there = ", ".join(f"{program.version} ({program.path})" for program in found)
    return MachineError(
        f"The app asks for {tool.name} {tool.wanted} ({tool.wanted_by}); on this machine there is {there}.",
        hint=tool.hint,
    )


def _identify(tool: Tool, found: str) -> Program:
    path = os.path.realpath(found) if found else ""
    version = _version(tool, path, Path(found).parent) if path else None
    if version is None:
        raise MachineError(
            f"There is no program {tool.name!r} on this machine." if not path else f"{path} does not say its version.",
            hint=tool.hint or f"Install it, for example with `apt-get install {tool.name}`.",
        )
    return Program(path, version)


def _check_place(path: str, caller: Mapping[str, str], fetched: Path) -> None:
    """It is a program of the machine or of the user: none that the app or an earlier build wrote. Raises: MachineError."""
    trees = ("/usr", "/nix/store", "/gnu/store", pythons_folder(caller), fetched, rustup_folder(caller))
    is_on_path = str(Path(path).parent) in search_path(caller).split(":")
    if not is_on_path and not any(Path(path).resolve().is_relative_to(Path(tree).resolve()) for tree in trees):
        raise MachineError(
            f"{path} was found, which is no program of this machine.",
            hint="Programs are looked for on PATH, in /usr, and where uv and rustup keep theirs.",
        )


def _version(tool: Tool, path: str, beside: Path) -> str | None:
    """A program is asked only for what is not written beside it: npm takes 100 ms to say what stands in its package.json."""
    if tool.name == "uv":
        return uv_version()
    return _packaged_version(Path(path)) or ask_version(path, *tool.ask_version, beside=beside)


def _packaged_version(program: Path) -> str | None:
    """That of the Node package to which the program belongs, if it lies in one that is installed."""
    package = next((folder for folder in program.parents if folder.parent.name == "node_modules"), None)
    try:
        manifest = json.loads((package / "package.json").read_bytes()) if package else None
    except (OSError, ValueError):
        return None
    version = manifest.get("version") if isinstance(manifest, dict) else None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else None


def ask_version(path: str, *arguments: str, beside: Path | None = None) -> str | None:
    """The version that the program says it has; None if it does not answer.

    It finds what stands in the folder `beside`: a program may be a script for an interpreter that is installed with it.
    """
    environment = {"LANG": "C.UTF-8", "PATH": f"{beside}:{SYSTEM_PATH}" if beside else SYSTEM_PATH}
    try:
        answer = capture(Command((path, *arguments), Path("/"), environment, _DEADLINE_S))
    except MachineError:
        return None
    found = _VERSION.search(answer.text) if answer.status == 0 else None
    return found[0] if found else None


def is_still_there(program: Program) -> bool:
    """Whether the program that a bundle relies on when it runs is the one of then."""
    return ask_version(program.path, "--version") == program.version


def search_path(caller: Mapping[str, str]) -> str:
    """Where programs are looked for: the machine's folders, that of Trivet's own Python, the caller's absolute ones."""
    own = str(Path(sys.base_prefix) / "bin")
    folders = [folder for folder in caller.get("PATH", "").split(":") if folder.startswith("/")]
    return ":".join((SYSTEM_PATH, own, *folders))


def tool_folders(programs: Mapping[str, Program], caller: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """What steps must be able to read to run the programs: the folders around them, and the user's own Pythons.

    Of uv it is the program alone: it needs no more, and the environment around it is Trivet's, or a developer's.
    """
    private = private_places(caller, home)
    found = [Path(program.path) for name, program in programs.items() if name == "uv"]
    for name, program in programs.items():
        found.extend(toolchain(Path(program.path), private) if name != "uv" else ())
    found.extend(pythons for pythons in (pythons_folder(caller), Home(home).pythons) if pythons.is_dir())
    return tuple(dict.fromkeys(path for path in found if not path.is_relative_to("/usr")))


def folders_of(programs: Mapping[str, Program]) -> tuple[str, ...]:
    """The folders of the programs that are not on the machine's PATH anyway."""
    known = SYSTEM_PATH.split(":")
    folders = dict.fromkeys(str(Path(program.path).parent) for program in programs.values())
    return tuple(folder for folder in folders if folder not in known)

"""Toolbox: the programs of the machine that a plan asks for, found and asked for their versions before its first step."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from trivet.build.environment import SYSTEM_PATH, pythons_folder
from trivet.build.uv import find_uv
from trivet.errors import MachineError
from trivet.host.command import Command, capture
from trivet.host.view import toolchain
from trivet.model.build import Program
from trivet.model.build_plan import Tool

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_DEADLINE_S = 30.0


def find_program(tool: Tool, caller: Mapping[str, str], answer: str | None) -> Program:
    """The tool on this machine. `answer` is what its `find` step said (None: it has none).

    Without that step it is the first of its name on the machine's PATH, then on the caller's; uv comes with Trivet.
    Raises: MachineError if there is none.
    """
    if answer is None:
        answer = find_uv() if tool.name == "uv" else shutil.which(tool.name, path=search_path(caller))
    path = os.path.realpath(answer) if answer else ""
    version = ask_version(path, *tool.ask_version) if path else None
    if version is None:
        raise MachineError(
            f"There is no program {tool.name!r} on this machine." if not path else f"{path} does not say its version.",
            hint=tool.hint or f"Install it, for example with `apt-get install {tool.name}`.",
        )
    return Program(path, version)


def ask_version(path: str, *arguments: str) -> str | None:
    """The version that the program says it has; None if it does not answer."""
    try:
        answer = capture(Command((path, *arguments), Path("/"), {"LANG": "C.UTF-8", "PATH": SYSTEM_PATH}, _DEADLINE_S))
    except MachineError:
        return None
    found = _VERSION.search(answer.text) if answer.status == 0 else None
    return found[0] if found else None


def is_still_there(program: Program) -> bool:
    """Whether the program that a bundle relies on when it runs is the one of then."""
    return ask_version(program.path, "--version") == program.version


def search_path(caller: Mapping[str, str]) -> str:
    """Where programs are looked for: the machine's folders, that of the Python that Trivet runs on, the caller's."""
    own = str(Path(sys.base_prefix) / "bin")
    return ":".join(filter(None, (SYSTEM_PATH, own, caller.get("PATH", ""))))


def tool_folders(programs: Mapping[str, Program], caller: Mapping[str, str]) -> tuple[Path, ...]:
    """What steps must be able to read to run the programs: the folders around them, and the user's own Pythons."""
    found = [toolchain(Path(program.path), Path.home()) for program in programs.values()]
    if (pythons := pythons_folder(caller)).is_dir():
        found.append(pythons)
    return tuple(dict.fromkeys(path for path in found if not path.is_relative_to("/usr")))


def folders_of(programs: Mapping[str, Program]) -> tuple[str, ...]:
    """The folders of the programs that are not on the machine's PATH anyway."""
    known = SYSTEM_PATH.split(":")
    folders = dict.fromkeys(str(Path(program.path).parent) for program in programs.values())
    return tuple(folder for folder in folders if folder not in known)

"""Where the tests find the toolchains that they do not share with Trivet."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

GO_CACHE = (
    Path(sys.prefix) / "go" / "cache"
)  # what has been compiled of Go's own packages, which takes minutes the first time


def with_go() -> Mapping[str, str]:
    """This environment, with the Go of scripts/toolchains on PATH."""
    (program,) = (Path(sys.prefix) / "go").glob("lib/python3*/site-packages/go/bin/go")
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def with_rust() -> Mapping[str, str]:
    """This environment, which says where rustup keeps its toolchains even where HOME is another one."""
    return {"RUSTUP_HOME": str(Path.home() / ".rustup"), **os.environ}


def needs(*programs: str, folders: tuple[Path, ...] = ()) -> pytest.MarkDecorator:
    """Skips where something is missing and only root could install it; root's run has it all, by scripts/toolchains."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin:{Path.home() / '.cargo' / 'bin'}"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    missing += [str(folder) for folder in folders if not folder.is_dir()]
    is_root = os.geteuid() == 0
    return pytest.mark.skipif(bool(missing) and not is_root, reason=f"needs {', '.join(missing)}: scripts/toolchains")

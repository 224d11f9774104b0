"""Where the tests find the toolchains that they do not share with Trivet."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def with_go() -> Mapping[str, str]:
    """This environment, with the Go of scripts/toolchains on PATH."""
    (program,) = (Path(sys.prefix) / "go").glob("lib/python3*/site-packages/go/bin/go")
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def with_rust() -> Mapping[str, str]:
    """This environment, which says where rustup keeps its toolchains even where HOME is another one."""
    return {"RUSTUP_HOME": str(Path.home() / ".rustup"), **os.environ}

"""Where the tests find the toolchains that they do not share with Trivet."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def with_go() -> Mapping[str, str]:
    """This environment, with the Go of `make .venv/.installed-toolchains` on PATH."""
    return {**os.environ, "PATH": f"{Path(sys.prefix) / 'go' / 'bin'}:{os.environ['PATH']}"}


def with_rust() -> Mapping[str, str]:
    """This environment, which says where rustup keeps its toolchains even where HOME is another one."""
    return {"RUSTUP_HOME": str(Path.home() / ".rustup"), **os.environ}

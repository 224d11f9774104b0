"""Where the tests find the toolchains that they do not share with Trivet."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def with_go() -> Mapping[str, str]:
    """This environment, with the Go of `make .venv/.installed-toolchains` on PATH."""
    return {**os.environ, "PATH": f"{Path(sys.prefix) / 'go' / 'bin'}:{os.environ['PATH']}"}

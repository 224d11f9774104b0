"""Staying when the build has ended: whoever looks afterwards, outside, says what came of it."""

import os
import signal
import sys
from pathlib import Path

from attempts import TARGETS

_LONGEST_S = 600


def stay() -> None:
    """A daemon lives on: in a session of its own, with another parent, ignoring what ends others."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # else what started the build waits for more output, until the build's time is over
        os.dup2(nowhere, stream)
    argv = (sys.executable, "-c", f"import time; time.sleep({_LONGEST_S})", TARGETS["abstract"])
    os.execve(sys.executable, argv, {})


def leave_shims() -> None:
    """Later steps find settings and programs of the app's own."""
    home = Path(os.environ["HOME"])
    for name in (".gitconfig", ".npmrc", ".netrc", ".config/uv/uv.toml", ".config/pip/pip.conf"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("owned\n")
    for name in ("uv.toml", "pyproject.toml"):
        (home.parent / name).write_text("")

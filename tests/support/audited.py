"""`python audited.py REPORT ARGUMENT...`: the real `trivet`, which writes down which room wrote which path under its home."""

import os
import sys
from pathlib import Path
from types import FrameType

_VERBS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _watch(home: str, report: int) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            paths = [arguments[0]]
        elif event in _VERBS:
            paths = [item for item in arguments[:2] if isinstance(item, str | os.PathLike)]
        else:
            return
        for path in paths:
            text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
            if isinstance(text, str) and text.startswith(home + "/"):
                os.write(report, f"{_room()} {text[len(home) + 1 :]}\n".encode())

    sys.addaudithook(hook)


def _room() -> str:
    frame: FrameType | None = sys._getframe(2)
    while frame:
        parts = str(frame.f_globals.get("__name__", "")).split(".")
        if parts[0] == "trivet" and len(parts) > 1 and parts[1] != "host":
            return parts[1]
        frame = frame.f_back
    return "nobody"


if __name__ == "__main__":
    _watch(os.environ["TRIVET_HOME"], os.open(Path(sys.argv.pop(1)), os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    from trivet.cli.main import main

    main()

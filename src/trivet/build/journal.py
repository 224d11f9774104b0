"""Journal: what a build tells, to its listener as it happens and to `build.log` for later."""

from pathlib import Path

from trivet.build.request import Listener


class Journal:
    """Tells the listener and writes the log. `tail` has the last lines of the present step's output."""

    _KEPT_LINES = 20

    def __init__(self, listener: Listener, path: Path) -> None:
        self._listener = listener
        self._log = path.open("a", encoding="utf-8", buffering=1)
        self.tail: tuple[str, ...] = ()

    def step(self, title: str) -> None:
        self.tail = ()
        self._log.write(f"==> {title}\n")
        self._listener.step(title)

    def output(self, line: str) -> None:
        self.tail = (*self.tail, line)[-self._KEPT_LINES :]
        self._log.write(f"{line}\n")
        self._listener.output(line)

    def notice(self, text: str) -> None:
        self._log.write(f"note: {text}\n")
        self._listener.notice(text)

    def close(self) -> None:
        self._log.close()

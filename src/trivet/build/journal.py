"""Journal: what a build tells, to its listener as it happens and to `build.log` for later.

What a command writes reaches the listener without colours and whatever else a terminal would obey; the log has it raw.
"""

from pathlib import Path

from trivet.build.request import Listener
from trivet.host.clock import monotonic_s
from trivet.model.build_plan import Phase
from trivet.model.text import plain
from trivet.model.timings import StepTime


class Journal:
    """Tells the listener and writes the log. `tail` has the last lines of the present step's output, `path` is its file."""

    _KEPT_LINES = 20

    def __init__(self, listener: Listener, path: Path) -> None:
        self._listener = listener
        self.path = path
        self._log = path.open("a", encoding="utf-8", buffering=1)
        self.tail: tuple[str, ...] = ()
        self._begun: list[tuple[str, Phase | None, float]] = []

    def step(self, title: str, phase: Phase | None = None) -> None:
        self.tail = ()
        self._begun.append((title, phase, monotonic_s()))
        self._log.write(f"==> {f'{phase}: ' if phase else ''}{title}\n")
        self._listener.step(title, phase)

    def output(self, line: str) -> None:
        shown = plain(line)
        self.tail = (*self.tail, shown)[-self._KEPT_LINES :]
        self._log.write(f"{line}\n")
        self._listener.output(shown)

    def notice(self, text: str) -> None:
        self._log.write(f"note: {text}\n")
        self._listener.notice(text)

    def times(self) -> tuple[StepTime, ...]:
        """How long each step took; the last one ends now."""
        ends = (*(began for _, _, began in self._begun[1:]), monotonic_s())
        return tuple(
            StepTime(plain(title), phase, round(end - began, 3))
            for (title, phase, began), end in zip(self._begun, ends, strict=True)
        )

    def close(self) -> None:
        self._log.close()

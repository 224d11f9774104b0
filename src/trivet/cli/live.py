"""A table on a terminal that is drawn anew whenever there is news, until Ctrl-C or `q`."""

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator, Sequence

from trivet.cli.output import color_choice, table_lines, visible
from trivet.cli.waiting import wait
from trivet.errors import InputError
from trivet.model.frozen import frozen

_END_KEYS = b"qQ"


@frozen
class Table:
    """What is drawn: a table with lines above and below it; `nothing` instead of a table without rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    above: Sequence[str] = ()
    below: Sequence[str] = ()
    nothing: str = ""


class Screen:
    """The part of the terminal that is drawn on."""

    def __init__(self, *, whole: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False, no_color=color_choice() is False)
        self.live = Live(
            console=self._console, auto_refresh=False, screen=whole, redirect_stdout=False, redirect_stderr=False
        )

    def draw(self, table: Table) -> None:
        """The terminal shows the table, and nothing of the one before."""
        from rich.text import Text

        lines = table_lines(table.headings, table.rows, self._console.width) or [table.nothing]
        text = Text(no_wrap=True, overflow="ellipsis")
        for line in table.above:
            text.append(f"{visible(line)}\n")
        text.append(f"{lines[0]}\n", style="bold" if table.rows else "")
        text.append("\n".join((*lines[1:], *map(visible, table.below))))
        self.live.update(text, refresh=True)

    def wait(self, timeout_s: float, *descriptors: int) -> bool:
        """Until one of the descriptors has news or the time is over; False once a person wants it to end."""
        keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
        watched = descriptors if keyboard is None else (*descriptors, keyboard)
        if keyboard not in wait(*watched, output=sys.stdout, timeout_s=timeout_s):
            return True
        typed = os.read(sys.stdin.fileno(), 64)
        return bool(typed) and not set(typed) & set(_END_KEYS)


def can_draw() -> bool:
    """Whether the output goes to a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def check_terminal(hint: str) -> None:
    """Raises: InputError with the hint, if nothing can be drawn where the output goes."""
    if not can_draw():
        raise InputError("What is drawn anew needs a terminal.", hint=hint)


@contextlib.contextmanager
def screen(*, whole: bool) -> Iterator[Screen]:
    """A screen to draw on; `whole`: what was there before comes back. The terminal is as it was, however the block ends.

    Ctrl-C ends the block and no more.
    """
    shown = Screen(whole=whole)
    with contextlib.suppress(KeyboardInterrupt), _unbuffered(), shown.live:
        yield shown


@contextlib.contextmanager
def _unbuffered() -> Iterator[None]:
    """Keys are read as they are pressed and not shown."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

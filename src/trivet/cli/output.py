"""What a person sees: results on standard output, everything else on standard error, colour only on a terminal."""

import calendar
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import click

from trivet.errors import TrivetError
from trivet.model.document import canonical, to_json
from trivet.model.text import plain

if TYPE_CHECKING:
    from rich.live import Live

_COLOR = re.compile("(\x1b\\[[0-9;]*m)")


def visible(text: str, *, keep_color: bool = False) -> str:
    """Text of others as a terminal may show it: without control characters; colours stay if asked for."""
    if not keep_color:
        return plain(text)
    parts = _COLOR.split(text)  # every second part is a colour
    return "".join(part if index % 2 else plain(part) for index, part in enumerate(parts))


def print_json(value: object) -> None:
    """The value as JSON, for programs."""
    click.echo(json.dumps(to_json(value), indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    """The value as JSON on one line."""
    click.echo(canonical(value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str) -> None:
    """Aligned columns; `nothing` on standard error if there is no row. Piped, no line is cut or coloured."""
    lines = table_lines(headings, rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    if not lines:
        if nothing:
            click.echo(nothing, err=True)
        return
    click.secho(lines[0], bold=True)
    for line in lines[1:]:
        click.echo(line)


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """The heading and the rows in aligned columns, the widest cut to fit the width, if there is one; none without rows."""
    lines = [[visible(cell) for cell in row] for row in rows]
    if not lines:
        return []
    widths = [max(len(row[column]) for row in [list(headings), *lines]) for column in range(len(headings))]
    if width is not None:
        widths = _fit(widths, width)
    return [_align(line, widths) for line in (headings, *lines)]


class Columns:
    """A table whose rows come one after the other: its columns grow to what they have to hold, and no cell is cut."""

    def __init__(self, headings: Sequence[str], widths: Sequence[int]) -> None:
        self._headings: Sequence[str] | None = headings
        self._widths = list(widths)

    def print(self, rows: Iterable[Sequence[str]]) -> None:
        """These rows are the next; the headings stand above the first."""
        lines = [[visible(cell) for cell in row] for row in rows]
        for line in lines:
            self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, line, strict=True)]
        if lines and self._headings is not None:
            click.secho(_align(self._headings, self._widths), bold=True)
            self._headings = None
        for line in lines:
            click.echo(_align(line, self._widths))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """One fact a line, names aligned; facts without a value are left out."""
    shown = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = value.split("\n")
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {visible(first)}")
        for line in rest:
            click.echo(f"{' ' * width}  {visible(line)}")


def print_notes(notes: Iterable[str]) -> None:
    """What a person should know beside the result, on standard error."""
    for note in notes:
        click.echo(f"{click.style('note    ', fg='yellow')} {visible(note)}", err=True)


def print_error(error: TrivetError) -> None:
    """What happened, the lines that show why, and what to do next, on standard error."""
    color = color_choice()  # the command is over: click has forgotten what was chosen for it
    click.echo(f"{click.style('error:', fg='red', bold=True)} {visible(error.message)}", err=True, color=color)
    for line in error.detail:
        click.echo(f"  {click.style('|', dim=True)} {visible(line)}", err=True, color=color)
    click.echo(f"{click.style('hint:', bold=True)}  {visible(error.hint)}", err=True, color=color)


def color_choice() -> bool | None:
    """What `NO_COLOR` and `FORCE_COLOR` say; None: colour on a terminal. https://no-color.org"""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return None


def seconds_since(at: str) -> float:
    """Seconds since an ISO 8601 time in UTC; 0 for one to come."""
    return max(0.0, time.time() - calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")))


def time_ago(seconds: float) -> str:
    """The moment that was this long ago, as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))


def age(at: str) -> str:
    """How long ago an ISO 8601 time in UTC was, in one unit: "5m", "3h", "12d"."""
    seconds = seconds_since(at)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(_clip(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _clip(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def _fit(widths: list[int], columns: int) -> list[int]:
    """The widths with the widest one cut, so that a row fits the terminal, though never below 12."""
    too_wide = sum(widths) + 2 * (len(widths) - 1) - columns
    widest = max(widths)
    at = widths.index(widest)
    return [*widths[:at], max(12, widest - max(0, too_wide)), *widths[at + 1 :]]


class ProgressView(Protocol):
    """A flow's progress as a way in shows it; used as a context, so that whatever it drew is cleared at the end."""

    def step(self, stage: str, text: str) -> None: ...
    def output(self, line: str) -> None: ...
    def notice(self, text: str) -> None: ...
    def __enter__(self) -> "ProgressView": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainProgress:
    """One line a step on standard error: for pipes, logs and `--verbose`; nothing but notices when quiet."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        self._verbose = verbose
        self._quiet = quiet

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def step(self, stage: str, text: str) -> None:
        if not self._quiet:
            click.echo(f"{click.style(f'{stage:<8}', fg='cyan')} {visible(text)}", err=True)

    def output(self, line: str) -> None:
        if self._verbose:
            click.echo(f"         {click.style('|', dim=True)} {visible(line)}", err=True)

    def notice(self, text: str) -> None:
        print_notes((text,))


class LiveProgress(PlainProgress):
    """The step at work with the last line its command wrote; each step stays as a line with its time."""

    def __init__(self) -> None:
        super().__init__(verbose=False, quiet=False)
        self._live: Live | None = None
        self._current: tuple[str, str, float] | None = None

    def __enter__(self) -> "LiveProgress":
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False, no_color=color_choice() is False)
        # Drawn when something happens, not by a thread: this process forks, and threads and forks do not go together.
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stderr=False)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        if self._live is not None:
            self._live.stop()

    def step(self, stage: str, text: str) -> None:
        self._finish()
        self._current = (stage, text, time.monotonic())
        self._show("")

    def output(self, line: str) -> None:
        self._show(line)

    def notice(self, text: str) -> None:
        self._finish()
        super().notice(text)

    def _show(self, line: str) -> None:
        from rich.text import Text

        if self._live is not None and self._current is not None:
            stage, text, _ = self._current
            parts = ((f"{stage:<8}", "cyan"), f" {visible(text)}… ", (visible(line), "dim"))
            self._live.update(Text.assemble(*parts, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _finish(self) -> None:
        if self._current is None:
            return
        stage, text, since = self._current
        self._current = None
        if self._live is not None:
            self._live.update("", refresh=True)
        took = time.monotonic() - since
        super().step(stage, f"{text}{f'  ({took:.1f} s)' if took >= 0.5 else ''}")


def progress_view(*, verbose: bool, quiet: bool) -> ProgressView:
    """The progress for this terminal: live if standard error is one and nobody asked for more or less."""
    if verbose or quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainProgress(verbose=verbose, quiet=quiet)
    return LiveProgress()

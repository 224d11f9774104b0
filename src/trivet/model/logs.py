"""Log lines, and which of them are asked for."""

from trivet.model.frozen import frozen


@frozen
class LogLine:
    """A line that a process wrote; `at` is ISO 8601 in UTC, as exactly as is known (about 50 ms)."""

    at: str
    process: str
    release: int
    text: str


@frozen
class LogChoice:
    """The last `lines` (None: all) of those that are of these processes or types (none named: all), and of this release.

    And that were written since and until then (ISO 8601 in UTC), and hold this text. None: whatever it is.
    """

    lines: int | None = None
    processes: tuple[str, ...] = ()
    release: int | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None

    def names(self, process: str) -> bool:
        """Whether the process is one of those."""
        return not self.processes or process in self.processes or process.rpartition(".")[0] in self.processes

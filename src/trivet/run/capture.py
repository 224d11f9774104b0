"""Capture: what a one-off writes until it ends, handed on as it comes, as bytes and line by line."""

import os
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_KEPT_LINES = 20
_BLOCK_BYTES = 65536
_MOST_PRINTED_BYTES = 65536


@dataclass(slots=True)
class _Pipe:
    """One of the pipes; `rest` is what came after the last end of a line."""

    is_answer: bool
    rest: bytes = b""


@dataclass(slots=True)
class Capture:
    """What came so far. `keep` is given every block, `report_line` every line.

    `last` are the last lines, `printed` is the beginning of what came through the pipe of the answer.
    """

    keep: Callable[[bytes], None]
    report_line: Callable[[str], None]
    last: tuple[str, ...] = ()
    printed: bytes = field(default=b"", init=False)

    def copy(self, pipes: Mapping[int, bool], pidfd: int, timeout_s: float) -> bool:
        """All that was written until the process ended was handed on. False: it has not ended within this time.

        `pipes` are the reading ends; which of them is the answer's. What the process has left behind may hold them open.
        """
        reading = {descriptor: _Pipe(is_answer) for descriptor, is_answer in pipes.items()}
        try:
            return self._copy(reading, pidfd, time.monotonic() + timeout_s)
        finally:
            for pipe in reading.values():
                if pipe.rest:
                    self._tell(pipe.rest)

    def _copy(self, reading: Mapping[int, _Pipe], pidfd: int, until: float) -> bool:
        poll = select.poll()
        for descriptor in (*reading, pidfd):
            poll.register(descriptor, select.POLLIN)
        ready: set[int] = set()
        while pidfd not in ready or ready & reading.keys():
            if time.monotonic() >= until:
                return pidfd in ready
            ready = {descriptor for descriptor, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}
            for descriptor in ready & reading.keys():
                if not self._read(descriptor, reading[descriptor]):
                    poll.unregister(descriptor)
        return True

    def _read(self, descriptor: int, pipe: _Pipe) -> bool:
        data = os.read(descriptor, _BLOCK_BYTES)
        if not data:
            return False
        self.keep(data)
        if pipe.is_answer:
            self.printed = (self.printed + data)[:_MOST_PRINTED_BYTES]
        *lines, pipe.rest = (pipe.rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(pipe.rest) > _BLOCK_BYTES:  # no line is that long: told in parts, so that it cannot fill our memory
            self._tell(pipe.rest)
            pipe.rest = b""
        return True

    def _tell(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")
        self.last = (*self.last, text)[-_KEPT_LINES:]
        self.report_line(text)

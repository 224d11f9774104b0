"""A command on a real terminal: what it shows, and what a person types."""

import os
import pty
import select
import subprocess
import sys
import termios
import time

from support.command import Trivet


class Terminal:
    """`trivet` with a pseudo-terminal as its standard input, output and error."""

    def __init__(self, trivet: Trivet, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown, self._raw = "", b""
        self.process = subprocess.Popen(
            (sys.executable, "-m", "trivet", *arguments),
            cwd=trivet.folder,
            env={**trivet.environment, "TERM": "xterm-256color", "COLUMNS": "120"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # it becomes the session's terminal
        )
        os.close(theirs)

    def expect(self, text: str, *, deadline_s: float = 60.0) -> None:
        """Returns once the text was shown."""
        until = time.monotonic() + deadline_s
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} was not shown, but: {self.shown}"
            if not self._read(0.1) and self.process.poll() is not None:
                assert text in self.shown, f"{text!r} was not shown, but: {self.shown}"

    def type(self, text: str) -> None:
        """A person types this."""
        os.write(self._ours, text.encode())

    def mode(self) -> list[object]:
        """How the terminal treats what is typed: termios(3)."""
        return termios.tcgetattr(self._ours)

    def end(self, *, deadline_s: float = 60.0) -> int:
        """The exit status of the command; all that it showed is in `shown`, the terminal's last mode in `last_mode`."""
        until = time.monotonic() + deadline_s
        while self.process.poll() is None:
            assert time.monotonic() < until, f"it did not end; it shows {self.shown}"
            self._read(0.1)
        while self._read(0.0):
            pass
        self.last_mode = self.mode()
        os.close(self._ours)
        return self.process.returncode

    def _read(self, wait_s: float) -> bool:
        if not select.select([self._ours], [], [], wait_s)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other side is closed
            return False
        self._raw += data  # which may end in the middle of a character, or of the end of a line
        self.shown = self._raw.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

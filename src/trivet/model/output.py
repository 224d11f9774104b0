"""Output: what the commands around a release wrote, each run once, and how each of them ended."""

from enum import StrEnum

from trivet.model.frozen import frozen


class Part(StrEnum):
    """A command that runs around a release: its release command, what asks for its schema's marker, a hook."""

    PRE_RELEASE = "pre-release"
    RELEASE = "release"
    SCHEMA = "schema"
    POST_RELEASE = "post-release"
    FAILED = "failed"

    @property
    def is_hook(self) -> bool:
        return self in HOOKS


HOOKS = (Part.PRE_RELEASE, Part.POST_RELEASE, Part.FAILED)
HOOKS_FOLDER = "hooks"  # of the app, and of the bundle


@frozen
class Output:
    """How one of them ended; what it wrote lies beside this document.

    `status` is its exit status, 128 + n for signal n; None while it runs, and for ever if whoever ran it was ended. One that
    `is_timed_out` took too long and was ended. `left_out_bytes` of its output, in the middle, are not kept. `marker` is what
    the schema goes by, if this is the command that was asked for it and the answer can be used; `fault` says why it cannot.
    `out_of_memory` says where memory ran out for it: "limit 64 MB", or "of the machine".
    """

    part: Part
    command: str
    started_at: str
    ended_at: str | None = None
    status: int | None = None
    is_timed_out: bool = False
    left_out_bytes: int = 0
    marker: str | None = None
    fault: str | None = None
    out_of_memory: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status == 0

    @property
    def told(self) -> str:
        """How it ended, after its name: "ended with exit status 3"."""
        if self.is_timed_out:
            return "took too long and was ended"
        if self.status is None:
            return "did not end by itself" if self.ended_at else "was not seen to end"
        why = f"ran out of memory ({self.out_of_memory}) and " if self.out_of_memory else ""
        return f"{why}ended with exit status {self.status}"


@frozen
class KeptOutput:
    """What is kept of a command's output, and how the command ended."""

    output: Output
    text: str

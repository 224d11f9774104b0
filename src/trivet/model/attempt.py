"""Attempt: a build that was asked for and had to be made, whether or not it was."""

from trivet.model.frozen import frozen
from trivet.model.names import AppName


@frozen
class Attempt:
    """What came of it: a build by this id, or None and why not. `at` is when it ended; `actor` is "" if nobody said."""

    app: AppName
    at: str
    commit: str
    subject: str
    actor: str
    duration_s: float
    build: str | None
    failure: str = ""

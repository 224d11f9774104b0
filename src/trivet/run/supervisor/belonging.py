"""Whose a process is, before anything of it is there."""

from trivet.model.frozen import frozen
from trivet.model.names import Deploy


@frozen
class Belonging:
    """Whose process it is."""

    deploy: Deploy
    release: int
    turn: int = 0

"""Whose a process is, before anything of it is there."""

from dataclasses import dataclass

from trivet.model.names import Deploy


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whose process it is."""

    deploy: Deploy
    release: int
    turn: int = 0

"""The machine: the only room that touches it. Standard library only, since the run stage stands on it."""

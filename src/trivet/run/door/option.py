"""How a door is told, when it is started, that another is there. On its own: a door imports little, and so does `launch`."""

BESIDE = "--beside"

"""Procfile: the tree as it stands, for an app that brings or finds all it needs."""

from trivet.build.steps import command_steps
from trivet.model.build_plan import BuildPlan, LayerPlan, SourceTree
from trivet.model.settings import Settings

NAME = "procfile"
LOOKED_FOR = "Procfile (anything else, as it stands)"


def recognise(tree: SourceTree) -> bool:
    """Whether there is a Procfile."""
    return "Procfile" in tree.files


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """One layer: the source, after the commands of trivet.toml."""
    return BuildPlan(NAME, (LayerPlan("app", command_steps(settings, {}), with_source=True),))

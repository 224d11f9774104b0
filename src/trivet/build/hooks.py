"""Hooks of a source: programs that run around a release of its build. They are a layer of their own, whatever the builder.

An app's layer need not hold them: a static site's holds its pages only.
"""

from collections.abc import Mapping
from pathlib import Path

from trivet.build.execute import Workshop, adopt
from trivet.build.store import Store
from trivet.errors import InvalidFile
from trivet.host.files import remove_tree
from trivet.model.build import Layer
from trivet.model.build_plan import LayerPlan, SourceTree
from trivet.model.output import HOOKS, HOOKS_FOLDER, Part

Hooks = Mapping[Part, bytes]


def read_hooks(app: Path) -> Hooks:
    """The hooks in the app's folder, with their content. Raises: InvalidFile for one that is not executable."""
    found: dict[Part, bytes] = {}
    for hook in HOOKS:
        path = app / HOOKS_FOLDER / hook
        if not path.is_file():
            continue
        if not path.stat().st_mode & 0o100:
            raise InvalidFile(
                f"{HOOKS_FOLDER}/{hook} is not executable, so that it would never run.",
                hint=f"Make it so and commit it: git update-index --chmod=+x {HOOKS_FOLDER}/{hook} "
                "(if it is no hook, give it another name).",
            )
        found[hook] = path.read_bytes()
    return found


def find_misnamed(tree: SourceTree) -> tuple[str, ...]:
    """A notice for each file that looks like a hook and is none, by its name."""
    notices = []
    for file in tree.files:
        folder, _, name = file.rpartition("/")
        plain = name.partition(".")[0].lower().replace("_", "-")
        if folder == HOOKS_FOLDER and name not in HOOKS and plain in HOOKS:
            notices.append(f"{file} is no hook: one is called {HOOKS_FOLDER}/{plain}")
    return tuple(notices)


def make_layer(hooks: Hooks, workshop: Workshop, store: Store) -> Layer:
    """The hooks are a stored layer of the bundle."""
    folder = workshop.bundle / HOOKS_FOLDER
    remove_tree(folder)  # whatever a step put there
    folder.mkdir()
    for hook, content in hooks.items():
        path = folder / hook
        path.write_bytes(content)
        path.chmod(0o755)
    return adopt(workshop, store, folder, LayerPlan(HOOKS_FOLDER))

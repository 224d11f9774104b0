"""Install scripts: which packages have some, and for which the app allows them to be run."""

import json
import re

from trivet.build.node.manager import Kind, Manager
from trivet.build.node.package import WORKSPACE_FILE, Package
from trivet.build.node.text import read_yaml
from trivet.model.build_plan import SourceTree

_REQUIRES_BUILD = re.compile(
    r"^  '?/?(?P<name>@?[^@\s'/]+(?:/[^@\s'/]+)?)[@/][^\n]*:\n(?:    .*\n)*?    requiresBuild: true", re.M
)


def read_allowed(tree: SourceTree, top: Package) -> tuple[str, ...]:
    """The names of those that may run theirs.

    https://docs.npmjs.com/cli/v12/configuring-npm/package-json#allowscripts https://pnpm.io/settings#allowbuilds
    """
    pnpm = top.data.get("pnpm")
    found: set[str] = set()
    for settings in (top.data, pnpm if isinstance(pnpm, dict) else {}, read_yaml(tree, WORKSPACE_FILE)):
        for field in ("allowScripts", "allowBuilds"):
            chosen = settings.get(field)
            found |= {str(name) for name, yes in (chosen.items() if isinstance(chosen, dict) else ()) if yes is True}
        listed = settings.get("onlyBuiltDependencies")
        found |= {str(name) for name in (listed if isinstance(listed, list) else ())}
    return tuple(sorted({re.sub(r"(?<=.)@.*", "", name) for name in found}))


def with_install_scripts(tree: SourceTree, manager: Manager) -> list[str]:
    """The packages that have install scripts, as far as the lockfile tells."""
    text = tree.read(manager.lockfile) or ""
    if manager.kind is Kind.NPM:
        locked = json.loads(text).get("packages", {})
        paths = (path for path, entry in locked.items() if "node_modules/" in path and entry.get("hasInstallScript"))
        return sorted({path.rpartition("node_modules/")[2] for path in paths})
    return sorted(set(_REQUIRES_BUILD.findall(text)))

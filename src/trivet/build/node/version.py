"""Which versions of node suit an app: engines.node, else the major version of a version file."""

import re

from trivet.build.node.package import Package
from trivet.build.ranges import is_range
from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree

_CODENAMES = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
_FILES = (".node-version", ".nvmrc")


def read_version(tree: SourceTree, top: Package) -> tuple[str, str]:
    """The range, and where it stands; "" twice if every version does. Raises: InvalidFile."""
    if wanted := top.named("engines").get("node", ""):
        if not is_range(wanted):
            raise InvalidFile(
                f"package.json: engines.node is {wanted!r}, which is no range of versions.",
                hint='Write it like this: "engines": { "node": ">=20" }.',
            )
        return wanted, "engines.node in package.json"
    name = next((name for name in _FILES if name in tree.files), None)
    if name is None:
        return "", ""
    asked = (tree.read(name) or "").strip().lower().removeprefix("v")
    asked = _CODENAMES.get(asked.removeprefix("lts/"), asked)
    major = re.match(r"\d+", asked)
    return (f"{major[0]}.x", name) if major else ("", "")

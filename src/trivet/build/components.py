"""Components: the packages of others that are really installed in a build's layers, as the package managers left them.

Python writes a `*.dist-info` folder for each distribution, https://packaging.python.org/specifications/recording-installed-packages/;
npm, pnpm and yarn a `package.json` in each folder of a `node_modules`; RubyGems a gemspec named after each gem; Composer
one list.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_GEM = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(?:-[\w.-]+)?\.gemspec")
_SPECIFICATION = "*/specifications/*.gemspec"
_SAID = ("Name", "Version", "License-Expression", "License")
_MOST_LICENSE_CHARACTERS = 64


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """A package in a build. `kind` is its package URL's type; `license` is "" if it does not say one in a line.

    `is_expression` says whether the license is an SPDX expression.
    """

    kind: str
    name: str
    version: str
    license: str = ""
    is_expression: bool = False

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec"""
        name = quote(_normal(self.name) if self.kind == "pypi" else self.name, safe="/")
        return f"pkg:{self.kind}/{name}@{quote(self.version, safe='')}"


def installed(layer: Path) -> tuple[Component, ...]:
    """What is installed in the layer's folder, each package once, sorted."""
    reads = (_distributions, _node_packages, _gems, _composer_packages)
    return tuple(sorted({component for read in reads for component in read(layer)}))


def _distributions(layer: Path) -> Iterator[Component]:
    from importlib.metadata import distributions  # 15 ms that only a build needs

    own = {path.parent for path in layer.glob("*.dist-info")}  # a folder that PYTHONPATH names
    for folder in sorted((*layer.glob("lib/python3*/site-packages"), *own)):
        for distribution in distributions(path=[str(folder)]):
            said = {name: str(distribution.metadata[name]) for name in _SAID if name in distribution.metadata}
            if "Name" in said and "Version" in said:
                yield _distribution(said)


def _distribution(said: Mapping[str, str]) -> Component:
    expression = said.get("License-Expression", "")
    chosen = expression or _one_line(said.get("License", ""))
    return Component("pypi", said["Name"], said["Version"], chosen, is_expression=bool(expression))


def _node_packages(layer: Path) -> Iterator[Component]:
    for folder in (layer / "node_modules", layer / "node_modules" / ".pnpm" / "node_modules"):
        yield from _modules(folder)
    for store in sorted(layer.glob("node_modules/.pnpm/*/node_modules")):
        yield from _modules(store)


def _modules(folder: Path) -> Iterator[Component]:
    """The packages of a node_modules folder, and those in theirs. Links lead to packages that stand elsewhere as well."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for package in sorted(folder.iterdir()):
        if package.name.startswith("@"):
            yield from _modules(package)
        elif package.is_dir() and not package.is_symlink() and not package.name.startswith("."):
            yield from _package(package / "package.json")
            yield from _modules(package / "node_modules")


def _package(path: Path) -> Iterator[Component]:
    data = _read(path)
    name, version, license_ = data.get("name"), data.get("version"), data.get("license")
    if isinstance(name, str) and isinstance(version, str):
        yield Component("npm", name, version, _one_line(license_ if isinstance(license_, str) else ""))


def _gems(layer: Path) -> Iterator[Component]:
    for path in sorted((*layer.glob(f"ruby/{_SPECIFICATION}"), *layer.glob(f"vendor/bundle/ruby/{_SPECIFICATION}"))):
        if match := _GEM.fullmatch(path.name):
            yield Component("gem", match["name"], match["version"])


def _composer_packages(layer: Path) -> Iterator[Component]:
    packages = _read(layer / "vendor" / "composer" / "installed.json").get("packages")
    for package in packages if isinstance(packages, list) else ():
        name, version = package.get("name"), package.get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield Component("composer", name, version.removeprefix("v"))


def _read(path: Path) -> dict[str, object]:
    """The JSON object in the file; an empty one if there is none: it is a package's own file, and may be anything."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _one_line(text: str) -> str:
    text = text.strip()
    return text if text != "UNKNOWN" and len(text) <= _MOST_LICENSE_CHARACTERS and "\n" not in text else ""


def _normal(name: str) -> str:
    """https://packaging.python.org/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()

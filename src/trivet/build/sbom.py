"""SBOM: a build's bill of materials, as CycloneDX 1.5 has it. https://cyclonedx.org/docs/1.5/json/

What is installed decides what is listed; what the ecosystem's own tool says of a component (where it came from, what it
needs) is taken over. Nothing in it depends on when or where the build was made: no serial number, no time.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trivet import __version__
from trivet.build.components import Component
from trivet.model.build import Build
from trivet.model.document import write_document

_ROOT = "app"

Told = Mapping[str, Any]


def write_sbom(build: Build, installed: Sequence[Component], told: Told) -> str:
    """The document. `told` is what the ecosystem's own tool wrote, {} if there is none."""
    components = _components(installed, told) if installed else list(told.get("components", ()))
    components += _runtime(build)
    return write_document(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"tools": {"components": _tools(told)}, "component": _root(build)},
            "components": components,
            "dependencies": _dependencies(told, tuple(str(each["bom-ref"]) for each in components)),
        }
    )


def read_told(content: str) -> Told:
    """What a tool wrote; {} if it is no CycloneDX document."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    is_bom = isinstance(told, dict) and told.get("bomFormat") == "CycloneDX"
    return told if is_bom else {}


def _root(build: Build) -> dict[str, object]:
    return {
        "type": "application",
        "bom-ref": _ROOT,
        "name": str(build.app),
        "version": build.source.commit,
        "properties": [
            {"name": f"trivet:layer:{layer.name}", "value": f"sha256:{layer.digest}"} for layer in build.layers
        ],
    }


def _runtime(build: Build) -> list[dict[str, object]]:
    """The program of the machine that the bundle relies on when it runs: it is part of what runs."""
    vendored = "python" if any(layer.name == "runtime" for layer in build.layers) else None
    name = build.runtime or vendored
    if name is None:
        return []
    version = build.tools[name].version
    return [{"type": "platform", "bom-ref": f"runtime:{name}", "name": name, "version": version}]


def _components(installed: Sequence[Component], told: Told) -> list[dict[str, Any]]:
    by_purl = {str(each.get("purl", "")).partition("?")[0]: each for each in told.get("components", ())}
    return [_component(each, by_purl.get(each.purl)) for each in installed]


def _component(component: Component, told: Mapping[str, Any] | None) -> dict[str, Any]:
    own: dict[str, Any] = {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    }
    if component.license and component.is_expression:
        own["licenses"] = [{"expression": component.license}]
    elif component.license:
        own["licenses"] = [{"license": {"name": component.license}}]
    return {**own, **(told or {})}


def _dependencies(told: Told, refs: Sequence[str]) -> list[dict[str, object]]:
    """What needs what, as far as both are in the build. The app needs what the tool says, and what nothing else needs."""
    root = told.get("metadata", {}).get("component", {}).get("bom-ref")
    needs = {str(entry["ref"]): entry.get("dependsOn", ()) for entry in told.get("dependencies", ())}
    known = {ref: [each for each in needs.get(ref, ()) if each in refs] for ref in refs}
    needed = {each for ref, others in known.items() for each in others if each != ref}
    own = [ref for ref in refs if ref in needs.get(root, ()) or ref not in needed]
    return [{"ref": ref, **({"dependsOn": found} if found else {})} for ref, found in {_ROOT: own, **known}.items()]


def _tools(told: Told) -> list[dict[str, object]]:
    """Trivet, and the tool that was asked; its tools are a list in older documents, an object with one since 1.5."""
    tools = told.get("metadata", {}).get("tools", ())
    entries = tools.get("components", ()) if isinstance(tools, dict) else tools
    named = [{"name": "trivet", "version": __version__}, *entries]
    return [{"type": "application", "name": each["name"], "version": str(each.get("version", ""))} for each in named]

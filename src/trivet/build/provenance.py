"""Provenance: how a build came to be, as SLSA has it. https://slsa.dev/spec/v1.0/provenance

The subjects are what was made: each layer by its tree's digest, and `build.json`, which holds the process types and the
variables that make a bundle of them. What lies beside them (log, bill of materials) are byproducts.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from trivet import __version__
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.document import to_json
from trivet.model.frozen import frozen
from trivet.model.settings import BuildSettings
from trivet.model.statement import write_statement

BUILD_TYPE = "urn:trivet:build:1"
BUILDER = "urn:trivet:builder:1"


@frozen
class Making:
    """How a build was made, beyond what it consists of. `programs` are the sha256 of its tools' programs by their names.

    Times are ISO 8601 in UTC.
    """

    revision: str
    settings: BuildSettings
    programs: Mapping[str, str]
    began_at: str
    ended_at: str


def write_provenance(build: Build, making: Making, documents: Mapping[str, bytes]) -> str:
    """The statement over the build's layers and its documents, of which `build.json` is one."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in documents.items()}
    subjects = {layer.name: layer.digest for layer in build.layers}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "revision": making.revision,
                "directory": build.source.directory,
                "settings": to_json(making.settings),
            },
            "internalParameters": {
                "app": build.app,
                "builder": build.builder,
                "platform": {"machine": platform.machine(), "libc": " ".join(platform.libc_ver())},
                "confinement": build.confinement,
            },
            "resolvedDependencies": _sources(build),
        },
        "runDetails": {
            "builder": {
                "id": BUILDER,
                "version": {"trivet": __version__},
                "builderDependencies": _tools(build, making.programs),
            },
            "metadata": {"invocationId": build.id, "startedOn": making.began_at, "finishedOn": making.ended_at},
            "byproducts": [
                {"name": name, "digest": {"sha256": digest}}
                for name, digest in digests.items()
                if name != BuildDocument.BUILD
            ],
        },
    }
    return write_statement({**subjects, BuildDocument.BUILD: digests[BuildDocument.BUILD]}, predicate)


def _sources(build: Build) -> list[dict[str, object]]:
    source = build.source
    return [
        {"uri": f"git+{_uri(source.repository)}", "digest": {"gitCommit": source.commit}},
        {"name": "tree", "digest": {"gitTree": source.tree}},
    ]


def _tools(build: Build, programs: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "uri": _uri(tool.path),
            "digest": {"sha256": programs[name]},
            "annotations": {"version": tool.version},
        }
        for name, tool in sorted(build.tools.items())
    ]


def _uri(path: str) -> str:
    """A path may be any bytes, a URI may not."""
    return "file://" + quote(os.fsencode(str(Path(path).absolute())))

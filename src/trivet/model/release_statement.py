"""Release statement: what was released where, by whom and why, as in-toto has it. https://in-toto.io/Statement/v1

The subjects are what a release consists of: the layers of its build, by the digests that the build's provenance has for them,
and its two documents. None of in-toto's own predicates says what a release of a deploy is (theirs is of a package in a
registry), so the predicate is ours.
"""

from collections.abc import Mapping

from trivet.model.document import to_json
from trivet.model.release import Record
from trivet.model.statement import TYPE

RELEASE = "urn:trivet:release:1"


def release_statement(record: Record, documents: Mapping[str, str], entry: Mapping[str, object]) -> dict[str, object]:
    """The statement. `documents` are the sha256 of the release's files by name, `entry` says where the ledger has it."""
    release = record.release
    subjects = {**{layer.name: layer.digest for layer in release.build.layers}, **documents}
    return {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": RELEASE,
        "predicate": {
            "app": release.deploy.app,
            "deploy": release.deploy.name,
            "release": release.number,
            "cause": release.cause.value,
            "reason": release.reason,
            "actor": to_json(release.actor),
            "createdAt": release.created_at,
            "origin": to_json(release.origin),
            "build": release.build.id,
            "source": _source(record),
            "processes": {process.name: process.command for process in release.processes},
            "configVersion": release.config_version,
            "configChange": to_json(release.config_change),
            "toolVersion": release.tool_version,
            "outcome": _outcome(record),
            "ledger": entry,
        },
    }


def _source(record: Record) -> dict[str, object]:
    source = record.release.build.source
    return {
        "digest": {"gitCommit": source.commit, "gitTree": source.tree},
        "subject": source.subject,
        "author": source.author,
        "authoredAt": source.authored_at,
    }


def _outcome(record: Record) -> dict[str, object]:
    """What became of it, without what its processes wrote."""
    outcome = record.outcome
    return {
        "state": outcome.state.value,
        "reason": outcome.reason,
        "endedAt": record.ended_at,
    }

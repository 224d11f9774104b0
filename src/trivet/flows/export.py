"""Export: the ledger as lines of JSON, for other programs: entry by entry, or as a statement for each release."""

from collections.abc import Iterator
from enum import StrEnum

from trivet.errors import UnknownApp
from trivet.flows.installation import Installation
from trivet.model.document import canonical, read_document
from trivet.model.names import AppName, DeployName
from trivet.model.release import Outcome, Record, State
from trivet.model.release_statement import release_statement
from trivet.release import Entry, Kind, Ledger, OutcomeBody, ReleaseBody


class Form(StrEnum):
    """JSONL: each entry as the ledger has it. IN_TOTO: an in-toto statement for each release."""

    JSONL = "jsonl"
    IN_TOTO = "in-toto"


def export_ledger(
    installation: Installation, app: AppName | None, deploy: DeployName | None, form: Form
) -> Iterator[str]:
    """The lines, oldest first: of the whole installation, of an app, or of one deploy of it. Raises: UnknownApp."""
    with Ledger(installation.home) as ledger:
        entries = [entry for entry in ledger.entries() if _is_meant(entry, app, deploy)]
    if not entries and app is not None:
        raise UnknownApp(
            f"The ledger has no entry about {app}{f'/{deploy}' if deploy else ''}.",
            hint="`trivet apps` lists the apps.",
        )
    if form is Form.JSONL:
        yield from (canonical(_line(entry)) for entry in entries)
    else:
        yield from map(canonical, _statements(entries))


def _is_meant(entry: Entry, app: AppName | None, deploy: DeployName | None) -> bool:
    return app in (None, entry.app) and deploy in (None, entry.deploy)


def _line(entry: Entry) -> dict[str, object]:
    """All that is hashed of the entry, and the hash. The salt stays here: with it, guesses at a value could be tested."""
    return {
        "position": entry.position,
        "app": entry.app,
        "deploy": entry.deploy,
        "kind": entry.kind,
        "number": entry.number,
        "at": entry.at,
        "body": entry.body,
        "hash": entry.hash.hex(),
    }


def _statements(entries: list[Entry]) -> Iterator[dict[str, object]]:
    """One for each release, those of destroyed deploys as well."""
    concluded = {(each.app, each.deploy, each.number): each for each in entries if each.kind == Kind.OUTCOME}
    for entry in entries:
        if entry.kind == Kind.RELEASE:
            yield _statement(entry, concluded.get((entry.app, entry.deploy, entry.number)))


def _statement(entry: Entry, conclusion: Entry | None) -> dict[str, object]:
    body = read_document(ReleaseBody, entry.body, name=f"entry {entry.position}")
    record = Record(body.release, Outcome(State.PENDING), None)
    if conclusion is not None:
        told = read_document(OutcomeBody, conclusion.body, name=f"entry {conclusion.position}")
        record = Record(body.release, told.outcome, conclusion.at)
    sealed = {"env.age": body.sealed_digest} if body.release.config_version else {}
    documents = {"release.json": body.release_digest, **sealed}
    return release_statement(record, documents, {"position": entry.position, "leafHash": entry.hash.hex()})

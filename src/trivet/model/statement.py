"""Statement: what is said of which artifacts, as in-toto has it. https://in-toto.io/Statement/v1

An artifact is known by a name and a sha256: of a file its content's, of a layer its tree's.
"""

import hashlib
import json
from collections.abc import Mapping

from trivet.errors import InvalidDocument
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.document import from_json, write_document

TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"


def write_statement(subjects: Mapping[str, str], predicate: Mapping[str, object]) -> str:
    """The JSON text that says the provenance of the subjects (sha256 by name)."""
    return write_document(
        {
            "_type": TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
            "predicateType": PROVENANCE,
            "predicate": predicate,
        }
    )


def read_subjects(text: str | bytes, *, name: str) -> Mapping[str, str]:
    """The sha256 of each subject by its name. Raises: InvalidDocument, naming `name`."""
    statement = _object(_parse(text, name), name)
    if (statement.get("_type"), statement.get("predicateType")) != (TYPE, PROVENANCE):
        raise _invalid(name, "it is no in-toto statement of SLSA provenance")
    subjects: dict[str, str] = {}
    for index, entry in enumerate(_list(statement.get("subject"), f"{name}: subject")):
        place = f"{name}: subject[{index}]"
        subject = _object(entry, place)
        digests = from_json(Mapping[str, str], subject.get("digest"), name=place)  # type: ignore[type-abstract]
        subjects[from_json(str, subject.get("name"), name=place)] = digests.get("sha256", "")
    return subjects


def read_byproducts(text: str | bytes, *, name: str) -> Mapping[str, str]:
    """The sha256 of each file that was written beside the subjects, by its name. Raises: InvalidDocument."""
    place: object = _parse(text, name)
    for key in ("predicate", "runDetails"):
        place = _object(place, name).get(key)
    entries = _list(_object(place, name).get("byproducts"), f"{name}: byproducts")
    found = [_object(entry, f"{name}: byproducts") for entry in entries]
    return {str(each.get("name")): str(_object(each.get("digest"), name).get("sha256")) for each in found}


def find_mismatches(provenance: bytes, build: Build, document: bytes) -> tuple[str, ...]:
    """The parts of the build that its provenance does not speak of, by name; `document` is the content of its `build.json`.

    Raises: InvalidDocument.
    """
    said = read_subjects(provenance, name=BuildDocument.PROVENANCE)
    parts = {layer.name: layer.digest for layer in build.layers}
    parts[BuildDocument.BUILD.value] = hashlib.sha256(document).hexdigest()
    return tuple(sorted(name for name in {*parts, *said} if parts.get(name) != said.get(name)))


def _parse(text: str | bytes, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(name, f"it is not JSON ({error})") from error


def _object(data: object, name: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _invalid(name, "an object expected")
    return data


def _list(data: object, name: str) -> list[object]:
    if not isinstance(data, list):
        raise _invalid(name, "a list expected")
    return data


def _invalid(name: str, why: str) -> InvalidDocument:
    return InvalidDocument(
        f"{name} cannot be read: {why}.", hint="The file was changed by hand. Restore it from a backup."
    )

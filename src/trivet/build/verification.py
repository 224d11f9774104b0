"""Verification: whether all of a build is what was once built, layers and documents."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator

from trivet.errors import InvalidDocument
from trivet.host.integrity import Fault, Inspection
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.home import Home
from trivet.model.statement import find_mismatches, read_byproducts


def verify_builds(home: Home, builds: Iterable[Build]) -> tuple[tuple[Fault, ...], ...]:
    """What of each build is not as it was built: every byte was read. Raises: MachineError."""
    inspection = Inspection(home)
    return tuple((*inspection.find_faults(build), *_check_documents(home, build)) for build in builds)


def _check_documents(home: Home, build: Build) -> Iterator[Fault]:
    """The provenance has the digests of the others."""
    folder = home.build(build.app, build.id)
    path = folder / BuildDocument.PROVENANCE
    if not path.is_file():
        yield Fault(BuildDocument.PROVENANCE, f"{BuildDocument.PROVENANCE} is missing", path)
        return
    content = path.read_bytes()
    try:
        told = find_mismatches(content, build, (folder / BuildDocument.BUILD).read_bytes())
        byproducts = read_byproducts(content, name=BuildDocument.PROVENANCE)
    except InvalidDocument as error:
        yield Fault(BuildDocument.PROVENANCE, error.message.rstrip("."), path)
        return
    for part in told:
        yield Fault(part, f"{part} is not what {BuildDocument.PROVENANCE} says was built", path)
    for name, digest in byproducts.items():
        with contextlib.suppress(FileNotFoundError):
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest:
                continue
            yield Fault(name, f"{name} was altered after it was written", folder / name)
            continue
        yield Fault(name, f"{name} is missing", folder / name)

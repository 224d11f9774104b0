"""Build documents: the files in `builds/<id>/` that say what a build is and how it came to be."""

from enum import StrEnum

SIGNED_AS = "trivet-provenance"
"""The namespace of signatures: one that was made for something else is none."""


class BuildDocument(StrEnum):
    """A document of a build, by its file name."""

    BUILD = "build.json"
    LOG = "build.log"
    TIMINGS = "timings.json"
    SBOM = "sbom.json"
    PROVENANCE = "provenance.json"
    SIGNATURE = "provenance.json.sig"
    SIGNERS = "allowed_signers"

"""Backup: what of an installation goes into one file, and so what may come out of one. The map on disk is home.py.

Left out is what is made again or belongs to one boot: checkouts of layers, download caches, locks, sockets, what the
processes' state is, their logs and temporary folders, and the environment files that the run stage reads.
"""

import re
from enum import StrEnum

from trivet.model.frozen import frozen

ANNOUNCEMENT = "backup.json"
DATABASE = "trivet.db"
CONFIG_KEY = "keys/config.key"
FORMAT = "trivet-backup-1"


class Part(StrEnum):
    """What a path of a backup is. A KEY opens config, signs the ledger or lets in elsewhere: none belongs where others read."""

    DATABASE = "database"
    OBJECT = "object"
    BUILD = "build"
    BUILD_LINK = "build link"
    RELEASE = "release"
    RUN = "run"
    STORAGE = "storage"
    SIGNERS = "signers"
    KEY = "key"
    PUBLIC_KEY = "public key"
    DOMAINS = "domains"


@frozen
class Announcement:
    """What a backup begins with: the document `backup.json`. `size_bytes` is what all that follows takes unpacked."""

    format: str
    created_at: str
    made_by: str
    tool_version: str
    files: int
    size_bytes: int
    has_keys: bool
    has_storage: bool


_NAME = "[a-z][a-z0-9-]{0,39}"
_FILE = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_DEPLOY = f"apps/{_NAME}/deploys/{_NAME}"
_PARTS = (
    (r"trivet\.db", Part.DATABASE),
    (r"objects/[0-9a-f]{2}/[0-9a-f]{62}(\.x)?", Part.OBJECT),
    (f"apps/{_NAME}/builds/[0-9a-f]{{1,64}}/{_FILE}", Part.BUILD),
    (f"apps/{_NAME}/builds/failed\\.log", Part.BUILD),
    (f"apps/{_NAME}/builds/[0-9a-f]{{1,64}}/(bundle|making)/{_FILE}", Part.BUILD_LINK),
    (f"apps/{_NAME}/(allowed_signers|require_signed_releases)", Part.SIGNERS),
    (f"{_DEPLOY}/releases/v[1-9][0-9]{{0,8}}/{_FILE}", Part.RELEASE),
    (f"{_DEPLOY}/run/(formation\\.json|door\\.json|stopped|events/{_FILE})", Part.RUN),
    (f"{_DEPLOY}/storage(/.+)?", Part.STORAGE),
    (r"keys/[a-z0-9.]{1,40}\.(pub|recipient)", Part.PUBLIC_KEY),
    (r"keys/[a-z0-9.]{1,40}(?<!\.cred)", Part.KEY),  # what one machine's systemd has sealed opens nowhere else
    (r"domains/domains\.json", Part.DOMAINS),
    (r"notify/subscribers\.json", Part.KEY),  # such a URL lets in whoever knows it, and its secret signs
)
LONGEST = 3000  # characters of a path; the whole one, with the home's, has to stay below what Linux takes
_STORAGE_DEPTH = 5  # apps/APP/deploys/DEPLOY/storage/NAME
_LAYER = re.compile(r"\.\./\.\./\.\./\.\./\.\./layers/[0-9a-f]{64}")


def part_of(path: str) -> Part | None:
    """What the path under $TRIVET_HOME is; None: nothing that is backed up, or no path that stays inside."""
    if any(name in ("", ".", "..") for name in path.split("/")) or "\0" in path or len(path) > LONGEST:
        return None
    return next((part for pattern, part in _PARTS if re.fullmatch(pattern, path, re.DOTALL)), None)


def is_link_of(part: Part, path: str, target: str) -> bool:
    """Whether a link at this path may lead there: a build's to a layer, the app's own to what lies in its storage."""
    if part is Part.BUILD_LINK:
        return _LAYER.fullmatch(target) is not None
    inside = re.fullmatch(r"((\.\./)*)[^/].*", target, re.DOTALL)
    if part is not Part.STORAGE or inside is None or "\0" in target:
        return False
    above = inside[1].count("..")
    # Once it has gone down, it may have gone through another link, and what is above that is not known.
    return ".." not in target.split("/")[above:] and above <= path.count("/") - _STORAGE_DEPTH


def digest_of(path: str) -> str:
    """The sha256 that an object's path stands for."""
    return path.removeprefix("objects/").replace("/", "").removesuffix(".x")

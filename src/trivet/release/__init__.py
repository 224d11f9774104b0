"""The release stage: build + config → release, the ledger of them all, and the config versions."""

from trivet.release.compare import ReleaseDiff, diff
from trivet.release.config_key import ConfigKey, Keeping
from trivet.release.config_store import ConfigStore
from trivet.release.declared import Finding, KeyState, check_declared, complete, examine
from trivet.release.entry import (
    DestroyedBody,
    Entry,
    Kind,
    OutcomeBody,
    PinBody,
    PrunedBody,
    ReleaseBody,
    read_body,
)
from trivet.release.environment_place import EnvironmentPlace, find_environment_place
from trivet.release.environments import Environments
from trivet.release.folder import SIGNATURE_FILE
from trivet.release.ledger import Ledger
from trivet.release.quarantine import Quarantine, find_quarantines
from trivet.release.rollback import choose_rollback_target
from trivet.release.signature import Sign
from trivet.release.vault import examine_key

__all__ = [
    "ConfigKey",
    "ConfigStore",
    "DestroyedBody",
    "Entry",
    "Finding",
    "KeyState",
    "EnvironmentPlace",
    "Environments",
    "Keeping",
    "Kind",
    "Ledger",
    "OutcomeBody",
    "PinBody",
    "PrunedBody",
    "Quarantine",
    "ReleaseBody",
    "ReleaseDiff",
    "check_declared",
    "choose_rollback_target",
    "SIGNATURE_FILE",
    "Sign",
    "complete",
    "diff",
    "examine",
    "examine_key",
    "find_environment_place",
    "find_quarantines",
    "read_body",
]

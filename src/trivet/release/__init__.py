"""The release stage: build + config → release, the ledger of them all, and the config versions."""

from trivet.release.compare import ReleaseDiff, diff
from trivet.release.config_store import ConfigStore
from trivet.release.declared import Finding, KeyState, check_declared, complete, examine
from trivet.release.entry import Entry, Kind
from trivet.release.environments import Environments
from trivet.release.ledger import Ledger
from trivet.release.quarantine import Quarantine, find_quarantines
from trivet.release.rollback import choose_rollback_target

__all__ = [
    "ConfigStore",
    "Entry",
    "Finding",
    "KeyState",
    "Environments",
    "Kind",
    "Ledger",
    "Quarantine",
    "ReleaseDiff",
    "check_declared",
    "choose_rollback_target",
    "complete",
    "diff",
    "examine",
    "find_quarantines",
]

"""The release stage: build + config → release, the ledger of them all, and the config versions."""

from trivet.release.compare import ReleaseDiff, diff
from trivet.release.config_store import ConfigStore
from trivet.release.entry import Entry, Kind
from trivet.release.ledger import Ledger
from trivet.release.quarantine import Quarantine, find_quarantines
from trivet.release.rollback import choose_rollback_target

__all__ = [
    "ConfigStore",
    "Entry",
    "Kind",
    "Ledger",
    "Quarantine",
    "ReleaseDiff",
    "choose_rollback_target",
    "diff",
    "find_quarantines",
]

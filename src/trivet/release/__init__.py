"""The release stage: build + config → release, the ledger of them all, and the config versions."""

from trivet.release.compare import ReleaseDiff, diff
from trivet.release.config_key import ConfigKey, Keeping
from trivet.release.config_store import ConfigStore
from trivet.release.declared import Finding, KeyState, check_declared, complete, examine
from trivet.release.entry import Entry, Kind
from trivet.release.environment_place import EnvironmentPlace, find_environment_place
from trivet.release.environments import Environments
from trivet.release.ledger import Ledger
from trivet.release.quarantine import Quarantine, find_quarantines
from trivet.release.rollback import choose_rollback_target
from trivet.release.vault import examine_key

__all__ = [
    "ConfigKey",
    "ConfigStore",
    "Entry",
    "Finding",
    "KeyState",
    "EnvironmentPlace",
    "Environments",
    "Keeping",
    "Kind",
    "Ledger",
    "Quarantine",
    "ReleaseDiff",
    "check_declared",
    "choose_rollback_target",
    "complete",
    "diff",
    "examine",
    "examine_key",
    "find_environment_place",
    "find_quarantines",
]

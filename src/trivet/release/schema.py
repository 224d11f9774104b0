"""The tables of the release stage, and the triggers that make them append-only by force, not by habit.

Every way of changing a row that SQLite knows is refused by the database itself, whoever holds the connection:

* UPDATE and DELETE meet a trigger.
* INSERT OR REPLACE deletes the row it conflicts with without firing a DELETE trigger (unless the connection has set
  `recursive_triggers`), so an INSERT must be the next entry and can conflict with nothing. For the same reason the
  ledger's rowid is its position, and the config versions have none: it would be one more key to conflict on.
  https://www.sqlite.org/lang_conflict.html
* An INSERT is checked with `trivet_entry_hash` and `trivet_grow`, functions that only our connections have: another client
  cannot even prepare one ("no such function").

Whoever owns the file can drop the triggers; `Ledger.verify` finds what was done then.
"""

_LEDGER = """
CREATE TABLE IF NOT EXISTS ledger (
    position INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    deploy TEXT NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    salt TEXT NOT NULL,
    hash BLOB NOT NULL,
    peaks BLOB NOT NULL
) STRICT
"""

_CONFIG_VERSIONS = """
CREATE TABLE IF NOT EXISTS config_versions (
    app TEXT NOT NULL,
    deploy TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at TEXT NOT NULL,
    body TEXT,
    PRIMARY KEY (app, deploy, version)
) STRICT, WITHOUT ROWID
"""

# The first is for reading, and named by each query; the second for what is told of an app in the order in which it
# happened. The third only says that there is one of each of these by a number.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS ledger_numbers ON ledger (app, deploy, kind, number)",
    "CREATE INDEX IF NOT EXISTS ledger_apps ON ledger (app)",
    """
CREATE UNIQUE INDEX IF NOT EXISTS ledger_once ON ledger (app, deploy, kind, number)
    WHERE kind IN ('release', 'roll_out', 'outcome', 'superseded')
""",
)

_REFUSALS = tuple(
    f"""
CREATE TRIGGER IF NOT EXISTS {table}_refuse_{verb.lower()} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{why}'); END
"""
    for table, verb, why in (
        ("ledger", "UPDATE", "an entry of the ledger is never changed"),
        ("ledger", "DELETE", "an entry of the ledger is never removed"),
        ("config_versions", "DELETE", "a config version is never removed"),
    )
)

_NEXT_ENTRY = """
CREATE TRIGGER IF NOT EXISTS ledger_next BEFORE INSERT ON ledger
BEGIN
    SELECT RAISE(ABORT, 'not the next position')
    WHERE NEW.position IS NOT 1 + coalesce((SELECT max(position) FROM ledger), 0);
    SELECT RAISE(ABORT, 'a line break')
    WHERE instr(NEW.app || NEW.deploy || NEW.kind || NEW.at, char(10));
    SELECT RAISE(ABORT, 'not the next number')
    WHERE NEW.kind IN ('release', 'destroyed') AND NEW.number IS NOT (NEW.kind = 'release') + coalesce(
        (SELECT max(number) FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = 'release'), 0);
    SELECT RAISE(ABORT, 'no such release')
    WHERE NEW.kind NOT IN ('release', 'destroyed') AND (NEW.number <> 0 OR NEW.deploy <> '') AND NOT EXISTS (
        SELECT 1 FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = 'release' AND number = NEW.number);
    SELECT RAISE(ABORT, 'the release has such an entry')
    WHERE NEW.kind IN ('release', 'roll_out', 'outcome', 'superseded') AND EXISTS (
        SELECT 1 FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = NEW.kind AND number = NEW.number);
    SELECT RAISE(ABORT, 'not the hash of the entry')
    WHERE NEW.hash IS NOT trivet_entry_hash(
        NEW.position, NEW.app, NEW.deploy, NEW.kind, NEW.number, NEW.at, NEW.body);
    SELECT RAISE(ABORT, 'not the peaks of the tree')
    WHERE NEW.peaks IS NOT trivet_grow(
        coalesce((SELECT peaks FROM ledger WHERE position = NEW.position - 1), x''), NEW.position - 1, NEW.hash);
END
"""

# A config version knows the ledger's position at the time, so a later "destroyed" entry tells which versions went with it.
_NEXT_VERSION = """
CREATE TRIGGER IF NOT EXISTS config_versions_next BEFORE INSERT ON config_versions
BEGIN
    SELECT RAISE(ABORT, 'not the next version')
    WHERE NEW.version IS NOT 1 + coalesce(
        (SELECT max(version) FROM config_versions WHERE app = NEW.app AND deploy = NEW.deploy), 0);
    SELECT RAISE(ABORT, 'not the position of the ledger')
    WHERE NEW.position IS NOT coalesce((SELECT max(position) FROM ledger), 0);
    SELECT RAISE(ABORT, 'a config version without its values') WHERE NEW.body IS NULL;
END
"""

_ERASE_ONLY = """
CREATE TRIGGER IF NOT EXISTS config_versions_erase BEFORE UPDATE ON config_versions
BEGIN
    SELECT RAISE(ABORT, 'a config version is never changed')
    WHERE NEW.body IS NOT NULL OR NEW.app IS NOT OLD.app OR NEW.deploy IS NOT OLD.deploy
        OR NEW.version IS NOT OLD.version OR NEW.position IS NOT OLD.position OR NEW.at IS NOT OLD.at;
    SELECT RAISE(ABORT, 'config is erased only once the deploy was destroyed')
    WHERE NOT EXISTS (
        SELECT 1 FROM ledger INDEXED BY ledger_numbers
        WHERE app = OLD.app AND deploy = OLD.deploy AND kind = 'destroyed' AND position > OLD.position);
END
"""

STATEMENTS = (_LEDGER, _CONFIG_VERSIONS, *_INDEXES, *_REFUSALS, _NEXT_ENTRY, _NEXT_VERSION, _ERASE_ONLY)

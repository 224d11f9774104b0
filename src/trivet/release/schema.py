"""The tables of the release stage, and the triggers that make them append-only by force, not by habit.

Every way of changing a row that SQLite knows is refused by the database itself, whoever holds the connection:

* UPDATE and DELETE meet a trigger.
* INSERT OR REPLACE deletes the row it conflicts with without firing a DELETE trigger (unless the connection has set
  `recursive_triggers`), so an INSERT must be the next entry and can conflict with nothing. For the same reason the tables
  have no rowid, which would be one more key to conflict on. https://www.sqlite.org/lang_conflict.html
* An INSERT is checked with `trivet_entry_hash`, a function that only our connections have: another client cannot
  even prepare one ("no such function").

Whoever owns the file can drop the triggers; `Ledger.verify` finds what was done then.
"""

_LEDGER = """
CREATE TABLE IF NOT EXISTS ledger (
    app TEXT NOT NULL,
    deploy TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('release', 'outcome', 'destroyed')),
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (app, deploy, position)
) STRICT, WITHOUT ROWID
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

# The first is for reading, and named by each query: without statistics the planner would rather read all of a deploy's
# rows by the primary key. The second only says that there is one release and one outcome by a number.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS ledger_numbers ON ledger (app, deploy, kind, number)",
    "CREATE UNIQUE INDEX IF NOT EXISTS ledger_once ON ledger (app, deploy, kind, number) WHERE kind <> 'destroyed'",
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
    WHERE NEW.position IS NOT 1 + coalesce(
        (SELECT max(position) FROM ledger WHERE app = NEW.app AND deploy = NEW.deploy), 0);
    SELECT RAISE(ABORT, 'not the hash of the entry before')
    WHERE NEW.previous IS NOT coalesce(
        (SELECT hash FROM ledger WHERE app = NEW.app AND deploy = NEW.deploy AND position = NEW.position - 1),
        trivet_first_hash());
    SELECT RAISE(ABORT, 'not the next number')
    WHERE NEW.number IS NOT (NEW.kind = 'release') + coalesce(
        (SELECT max(number) FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = 'release'), 0)
    AND NEW.kind <> 'outcome';
    SELECT RAISE(ABORT, 'no such release')
    WHERE NEW.kind = 'outcome' AND NOT EXISTS (
        SELECT 1 FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = 'release' AND number = NEW.number);
    SELECT RAISE(ABORT, 'the release has its outcome')
    WHERE NEW.kind = 'outcome' AND EXISTS (
        SELECT 1 FROM ledger INDEXED BY ledger_numbers
        WHERE app = NEW.app AND deploy = NEW.deploy AND kind = 'outcome' AND number = NEW.number);
    SELECT RAISE(ABORT, 'not the hash of the entry')
    WHERE NEW.hash IS NOT trivet_entry_hash(
        NEW.app, NEW.deploy, NEW.position, NEW.kind, NEW.number, NEW.at, NEW.body, NEW.previous);
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
    WHERE NEW.position IS NOT coalesce(
        (SELECT max(position) FROM ledger WHERE app = NEW.app AND deploy = NEW.deploy), 0);
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

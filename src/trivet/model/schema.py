"""Schema: the marker by which the state of an app's database is known, read from what a command prints. Pure."""

import hashlib
import re
from collections.abc import Callable

from trivet.model.frozen import frozen
from trivet.model.text import plain

_LONGEST = 200
_APPLIED = re.compile(r"\[X\]\s+(\S+)")
_VERSION = re.compile(r"version: *(\d+)", re.IGNORECASE)


@frozen
class _Tool:
    """A tool that knows how far a database was migrated: its command, and what its answer stands for ("": nothing)."""

    command: str
    read: Callable[[str], str]


def schema_command(schema: str) -> str:
    """The shell command that prints the marker: a known tool's, or the text itself."""
    return _TOOLS[schema].command if schema in _TOOLS else schema


def read_marker(schema: str, printed: str) -> str | None:
    """The marker, on one line; None if nothing was printed that can be one."""
    text = _TOOLS[schema].read(printed) if schema in _TOOLS else printed
    marker = plain(" ".join(text.split()))
    return (marker if len(marker) <= _LONGEST else f"sha256:{_digest(marker)}") or None


def _read_alembic(printed: str) -> str:
    """`abc (head)` → `abc`: whether it is the newest is a matter of the code, not of the database."""
    revisions = [line.split()[0] for line in printed.splitlines() if line.strip()]
    return " ".join(sorted(revisions)) or "base"


def _read_django(printed: str) -> str:
    """The last migration that was applied, and which they are in all: each of the project's apps has its own."""
    applied = _APPLIED.findall(printed)
    return f"{applied[-1]} ({len(applied)} applied, {_digest(' '.join(sorted(applied)))[:12]})" if applied else "none"


def _read_rails(printed: str) -> str:
    """The version of each database, in the order of config/database.yml."""
    return " ".join(_VERSION.findall(printed))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_TOOLS = {
    "alembic": _Tool("alembic current", _read_alembic),
    "django": _Tool("python manage.py showmigrations --plan", _read_django),
    "rails": _Tool("bundle exec rake db:version", _read_rails),
}

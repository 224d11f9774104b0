"""Procfile: process types and their commands, one a line, with honcho's and Heroku's syntax.

https://devcenter.heroku.com/articles/procfile#procfile-format
"""

import re
from collections.abc import Mapping

from trivet.errors import InvalidFile

FILE = "Procfile"
EXAMPLE = "web: gunicorn app:app --bind 127.0.0.1:$PORT"

# Heroku and honcho allow letters, digits, '-' and '_'; that a name starts with a letter is Trivet's rule.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_LINE = re.compile(rf"(?P<name>{_NAME.pattern})\s*:\s*(?P<command>\S.*)")


def parse_procfile(text: str) -> Mapping[str, str]:
    """The commands by process type, in the order of the file.

    Comments, blank lines, Windows line ends and a byte order mark are allowed. Raises: InvalidFile, with the line.
    """
    commands: dict[str, str] = {}
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise _unreadable(number, line)
        if match["name"] in commands:
            raise InvalidFile(
                f"{FILE}:{number}: there is a second process type called {match['name']!r}.",
                hint="Give each process type its own name, or remove one of the two lines.",
            )
        commands[match["name"]] = match["command"]
    return commands


def _unreadable(number: int, line: str) -> InvalidFile:
    name, colon, _ = line.partition(":")
    first = name.split()[0] if name.strip() else name
    if "\0" in line:
        why = "there is a NUL character in the line, which no command can hold"
    elif not _NAME.fullmatch(first):
        why = f"{first!r} is not a name for a process type"
    elif not colon or first != name.strip():
        why = f"there is no ':' after the name {first!r}"
    else:
        why = f"the process type {first!r} has no command"
    return InvalidFile(
        f"{FILE}:{number}: {why}.",
        hint=f"A line is a name (letters, digits, '-' and '_', starting with a letter), ':' and a command, "
        f"for example `{EXAMPLE}`.",
    )

"""Users: which app is whom on this machine, where Trivet is root; written down once, and never given to another app.

The machine's user `trivet-shop` is the app `shop`, if there is one. Else the app has a number that nobody else has.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path

from trivet.errors import InvalidDocument, MachineError
from trivet.host import files, user
from trivet.host.lock import hold
from trivet.host.user import User
from trivet.model.document import write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.run import documents

_CAPABILITIES = re.compile(r"CapEff:\s*([0-9a-f]+)")
_TO_BECOME = 1 << 0 | 1 << 6 | 1 << 7  # CHOWN, SETGID, SETUID
_TO_PASS = 1 << 2  # DAC_READ_SEARCH


@frozen
class Users:
    """The number of every app that ever had one."""

    numbers: dict[str, int] = field(default_factory=dict)


def are_kept_apart() -> bool:
    """Whether apps here are users of their own: we are root, and a root that may make somebody else of a process."""
    return os.geteuid() == 0 and bool(user.usable()) and _have(_TO_BECOME)


def may_pass() -> bool:
    """Whether we have the power to go through folders that are closed to others, and so can leave it to an app."""
    return _have(_TO_PASS)


def _have(powers: int) -> bool:
    match = _CAPABILITIES.search(Path("/proc/self/status").read_text())
    return match is not None and int(match[1], 16) & powers == powers


def name_of(app: AppName) -> str:
    """What the app's user is called."""
    return f"trivet-{app}"


def user_of(home: Home, app: AppName) -> User:
    """Who the app is, from now on if nobody until now. Raises: MachineError."""
    if (known := user.find_by_name(name_of(app))) is not None:
        return known
    number = _number_of(home, app)
    return User(number, number, name_of(app))


def numbers_of(home: Home, app: str) -> frozenset[int]:
    """Who the app's processes may be: ours, as where apps are no users of their own, whom the machine names, whom we noted."""
    named = user.find_by_name(f"trivet-{app}")
    try:
        noted = _read(home).numbers.get(app)
    except MachineError:  # the list is damaged: the owners of the storage say who is whom
        return frozenset((os.geteuid(), *_owners(home, app)))
    known = (os.geteuid(), named.number if named is not None else None, noted)
    return frozenset(each for each in known if each is not None)


def _number_of(home: Home, app: AppName) -> int:
    if (noted := _read(home).numbers.get(app)) is not None:
        return noted
    with hold(home.users.with_suffix(".lock"), "a new user", wait=True, what="the list of users"):
        users = _read(home)
        noted = users.numbers.get(app)
        number = noted if noted is not None else _choose(home, app, users)
        content = write_document(replace(users, numbers={**users.numbers, app: number}))
        files.replace(home.users, content.encode(), mode=0o600)
    return number


def _choose(home: Home, app: AppName, users: Users) -> int:
    """Whom its storage belongs to, if the list was lost or the home was copied; else the next that nobody was."""
    taken = frozenset(users.numbers.values())
    usable = user.usable()
    for number in _owners(home, app):
        if number in usable and number not in taken:
            return number
    highest = max((n for n in (*taken, *_owners(home, "*")) if n in usable), default=usable.start - 1)
    free = (number for number in range(highest + 1, usable.stop) if not user.is_known(number))
    if (chosen := next(free, None)) is None:
        raise MachineError(
            f"There is no user left for {app}: all of {usable.start} to {usable.stop - 1} were given to apps.",
            hint=f"Make one: useradd --system --user-group {name_of(app)}",
        )
    return chosen


def _owners(home: Home, app: str) -> Iterator[int]:
    for path in sorted(home.apps.glob(f"{app}/deploys/*/storage")):
        yield path.lstat().st_uid


def _read(home: Home) -> Users:
    try:
        return documents.read(Users, home.users, name="run/users.json") or Users()
    except InvalidDocument as error:
        hint = f"Move {home.users} away: the owners of the apps' storage folders tell who is whom."
        raise MachineError(error.message, hint=hint) from error

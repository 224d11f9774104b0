"""Landlock: a process that may write in a few places only, and what this kernel can enforce of that.

https://docs.kernel.org/userspace-api/landlock.html. Reading and executing stay as they are unless the walls say what
may be read; so does the network. Holds for root, for every child, and cannot be dropped; changing mount points is refused
too. Measured: +0.5 ms a start.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trivet.errors import CannotSeal
from trivet.host.capabilities import Powers
from trivet.host.script import MAY_FAIL, Script
from trivet.host.system_calls import Filter
from trivet.host.user import User
from trivet.model.frozen import frozen

if TYPE_CHECKING:
    from trivet.host.call_filter import Calls

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture since Linux 5.1
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_PR_SET_NO_NEW_PRIVS = 38
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNAL = 1 << 0, 1 << 1
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1

_KEYCTL = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING = 1
_CLOSE, _DUP2, _SETGROUPS, _SETRESUID, _SETRESGID, _PRCTL, _OPENAT = 3, 33, 116, 117, 119, 157, 257  # in scripts
_AT_FDCWD = -100

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_CHAR = 1 << 6
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_SOCK = 1 << 9
_MAKE_FIFO = 1 << 10
_MAKE_BLOCK = 1 << 11
_MAKE_SYM = 1 << 12
_REFER = 1 << 13
_TRUNCATE = 1 << 14

# Device nodes are handled and never granted: root could make a disk's node in its own folder and write the disk.
_IN_FOLDERS = (
    _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SOCK
    | _MAKE_FIFO
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)
_ALL = _IN_FOLDERS | _MAKE_CHAR | _MAKE_BLOCK
_ON_DEVICES = _WRITE_FILE | _TRUNCATE
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE

_REFER_ABI, _TRUNCATE_ABI, _NETWORK_ABI, _SCOPE_ABI = 2, 3, 4, 6
_DEVICES = ("null", "zero", "full", "tty", "random", "urandom")
_TERMINALS = ("ptmx", "pts")


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


@frozen
class Sealing:
    """What this kernel enforces. `abi` is Landlock's version (0: none); `missing` says what is not enforced."""

    abi: int
    level: str
    missing: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        return self.abi > 0


@frozen
class Walls:
    """Where a process may write: everywhere beneath `folders`, into `files` (not shorten them), the usual devices.

    `readable` is what it may read beside that, files and all beneath folders, as far as it is there (None: everything);
    of all beneath `listed` it may see the names alone. Without `network` it can neither connect nor be connected to by
    TCP, on kernels from 6.7. With `calls` it makes no others, and shares neither terminals nor abstract sockets with others.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...] = ()
    readable: tuple[Path, ...] | None = None
    listed: tuple[Path, ...] = ()
    network: bool = True
    calls: "Calls | None" = None


@frozen
class _Rule:
    """What may be done at a path, and beneath it; it `is_needed` if it is an error that nothing is there."""

    path: Path
    rights: int
    is_needed: bool = True

    @property
    def what(self) -> str:
        """For a person."""
        return "writing to" if self.rights & _WRITE_FILE else "reading"


class Sandbox:
    """Landlock as this kernel has it, and what goes with it. What can be worked out before a child is forked, is."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.sealing = describe(self._libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))
        self._powers = Powers(self._libc)
        self._filter = Filter(self._libc)
        self._keyctl = _KEYCTL.get(os.uname().machine)

    def seal(self, walls: Walls) -> None:
        """This process and all its children may write within the walls only, for ever, and have few of root's powers.

        There are no walls on a kernel without Landlock. Raises: OSError; then the process must not go on.
        """
        self._give_up(Powers(self._libc))  # anew: this process may have entered other namespaces since
        if walls.calls is not None:
            self.leave(walls.calls)
        self._shut(self.build(walls))

    def build(self, walls: Walls) -> int:
        """Walls that a process, this one or a child of it, can be closed in: a descriptor of the caller's; -1: no Landlock.

        Raises: OSError.
        """
        abi = self.sealing.abi
        if not abi:
            return -1
        ruleset = self._create(abi, walls)
        try:
            self._allow_all(ruleset, walls, _known_rights(abi))
        except OSError:
            os.close(ruleset)
            raise
        return ruleset

    def leave_keyring(self) -> None:
        """This process does not share its starter's session keyring. Keys may be few: then it does. keyctl(2)."""
        if self._keyctl is not None:
            self._libc.syscall(self._keyctl, _JOIN_SESSION_KEYRING, None)

    def close_in(self, ruleset: int, *, passes: bool = False) -> None:
        """As `seal`, for a child within walls that were built before, with the powers of whoever made this sandbox.

        The descriptor is closed. It is to become a user who `passes`, or not: user.py.
        """
        self._give_up(self._powers, passes=passes)
        self._shut(ruleset)

    def become(self, user: User) -> None:
        """This process is the user, for ever: none of our groups, and no power but to pass where only root may, if so.

        It was closed in before. Raises: OSError.
        """
        if user.passes:
            self._powers.keep_over_next_user()
        os.setgroups(())
        os.setresgid(user.group, user.group, user.group)
        os.setresuid(user.number, user.number, user.number)
        if user.passes:
            self._powers.pass_only()

    def write_closing_in(self, script: Script, *, passes: bool) -> None:
        """The script does as `leave_keyring` and `close_in`, but for the walls."""
        if self._keyctl is not None:
            script.call(self._keyctl, _JOIN_SESSION_KEYRING, unless=MAY_FAIL)
        script.call(_PRCTL, _PR_SET_NO_NEW_PRIVS, 1)
        self._powers.write_giving_up(script, passes=passes)
        self._filter.write_refusing(script)

    def write_walls(self, script: Script, walls: Walls) -> None:
        """The script builds these walls, but for what `write_own_walls` adds, as its descriptor 1; 0 is used up for it."""
        abi = self.sealing.abi
        if not abi:
            return
        attributes, size = self._attributes(abi, walls)
        script.call(_CLOSE, 0, unless=MAY_FAIL)
        script.call(_CREATE_RULESET, script.place(bytes(attributes)), size)  # 0: the lowest that is free
        script.call(_DUP2, 0, 1)
        for rule in _common_rules(walls, _known_rights(abi)):
            _write_rule(script, replace(rule, rights=_fitting(rule)))

    def write_own_walls(self, script: Script, walls: Walls) -> None:
        """The script adds the first folder, which is one, and the files, and does what is left of `close_in`."""
        abi = self.sealing.abi
        if not abi:
            return
        for rule in _own_rules(walls, _known_rights(abi)):
            _write_rule(script, rule)
        script.call(_RESTRICT_SELF, 1)

    def write_becoming(self, script: Script, user: User) -> None:
        """The script does as `become`."""
        if user.passes:
            self._powers.write_keeping(script)
        script.call(_SETGROUPS)
        script.call(_SETRESGID, user.group, user.group, user.group)
        script.call(_SETRESUID, user.number, user.number, user.number)
        if user.passes:
            self._powers.write_passing_only(script)

    def is_dumpable(self) -> bool:
        """Whether others of our user may look at this process."""
        return bool(self._libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)

    def stay_dumpable(self) -> None:
        """Others who may look at this process still may: a child with its memory has become another user. prctl(2)."""
        self._libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)

    def leave(self, calls: "Calls") -> None:
        """This process and all its children make no other system calls, and gain no rights, for ever. Raises: OSError."""
        self._checked(self._libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")
        from trivet.host.call_filter import leave  # which what starts apps has no use for

        leave(calls, self._libc)

    def end_with_parent(self, number: int) -> None:
        """This process is sent the signal when the thread that forked it ends."""
        self._checked(self._libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "end with its parent")

    def _give_up(self, powers: Powers, *, passes: bool = False) -> None:
        self._checked(self._libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")
        powers.give_up_others(passes=passes)
        self._filter.refuse()

    def _shut(self, ruleset: int) -> None:
        if ruleset >= 0:
            self._checked(self._libc.syscall(_RESTRICT_SELF, ruleset, 0), "restrict itself")
            os.close(ruleset)

    def _allow_all(self, ruleset: int, walls: Walls, known: int) -> None:
        for rule in (*_own_rules(walls, known), *_common_rules(walls, known)):
            self._allow(ruleset, rule)

    def _create(self, abi: int, walls: Walls) -> int:
        attributes, size = self._attributes(abi, walls)
        made = self._libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
        return self._checked(made, "create a Landlock ruleset")

    def _attributes(self, abi: int, walls: Walls) -> tuple[_Ruleset, int]:
        scoped = _SCOPE_SIGNAL if abi >= _SCOPE_ABI else 0
        scoped |= 0 if walls.calls is None or not scoped else _SCOPE_ABSTRACT_SOCKETS
        network = 0 if walls.network or abi < _NETWORK_ABI else _BIND_TCP | _CONNECT_TCP
        rights = _known_rights(abi) | (0 if walls.readable is None else _READING)
        return _Ruleset(rights, network, scoped), 24 if abi >= _SCOPE_ABI else 16 if abi >= _NETWORK_ABI else 8

    def _allow(self, ruleset: int, rule: _Rule) -> None:
        try:
            descriptor = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            if rule.is_needed:
                raise
            return
        try:
            rights = rule.rights if stat.S_ISDIR(os.fstat(descriptor).st_mode) else rule.rights & _OF_FILES
            self._checked(self._add(ruleset, descriptor, rights), f"allow {rule.what} {rule.path}")
        finally:
            os.close(descriptor)

    def _add(self, ruleset: int, descriptor: int, rights: int) -> int:
        rule = _PathBeneath(rights, descriptor)
        return int(self._libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))

    def _checked(self, result: int, what: str) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), what)
        return result


def describe(version: int) -> Sealing:
    """What a kernel enforces whose Landlock says this version; below 1: it has none, or it is switched off."""
    truncate = "truncate(2) of a file that an app may not write to (Linux 6.2 refuses it)"
    signals = "signals to processes of other apps (Linux 6.12 refuses them)"
    if version < 1:
        return Sealing(0, "none", ("writing to code", truncate, signals))
    if version < _TRUNCATE_ABI:
        return Sealing(version, "without truncate", (truncate, signals))
    if version < _SCOPE_ABI:
        return Sealing(version, "without signals", (signals,))
    return Sealing(version, "full")


def check(sealing: Sealing, *, allow_mutable: bool) -> None:
    """Raises: CannotSeal, if code cannot be kept read-only here and nobody said that this is fine."""
    if sealing.is_there or allow_mutable:
        return
    raise CannotSeal(
        "This machine's kernel cannot keep an app from changing its code: Landlock is not there.",
        hint="Use Linux 5.13 or newer (6.2 for all of it) with landlock in the boot option lsm=, or set "
        "TRIVET_ALLOW_MUTABLE=1 for `trivet up` to run without that protection. `trivet doctor` shows the level.",
    )


def _own_rules(walls: Walls, known: int) -> Iterator[_Rule]:
    """Of the first folder, which is one, and the files: one process's own, where others share the rest."""
    reading = 0 if walls.readable is None else _READING
    for folder in walls.folders[:1]:
        yield _Rule(folder, reading | (_IN_FOLDERS & known))
    for path in walls.files:
        yield _Rule(path, _WRITE_FILE | (reading & _READ_FILE))


def _common_rules(walls: Walls, known: int) -> Iterator[_Rule]:
    """Of all else within the walls. What may be read, and is not there, nobody reads."""
    reading = 0 if walls.readable is None else _READING
    for folder in walls.folders[1:]:
        yield _Rule(folder, reading | (_IN_FOLDERS & known))
    for name in _DEVICES if walls.calls else (*_DEVICES, *_TERMINALS):
        path = Path("/dev", name)
        if path.is_char_device() or path.is_dir():
            yield _Rule(path, (reading & _OF_FILES) | (_ON_DEVICES & known), is_needed=False)
    for path in walls.readable or ():
        yield _Rule(path, _READING, is_needed=False)
    for path in walls.listed if reading else ():
        yield _Rule(path, _READ_DIR, is_needed=False)


def _fitting(rule: _Rule) -> int:
    """Those of the rights that there are for what is there: the kernel refuses others."""
    with contextlib.suppress(OSError):
        return rule.rights & _OF_FILES if not rule.path.is_dir() and rule.path.exists() else rule.rights
    return rule.rights


def _write_rule(script: Script, rule: _Rule) -> None:
    if rule.rights:
        may_fail = (0, 0) if rule.is_needed else (MAY_FAIL, errno.EBADF)
        script.call(_CLOSE, 0, unless=MAY_FAIL)
        script.call(
            _OPENAT, _AT_FDCWD, script.text(rule.path), os.O_PATH, unless=may_fail[0]
        )  # 0: the lowest that is free
        script.call(_ADD_RULE, 1, _PATH_BENEATH, script.place(bytes(_PathBeneath(rule.rights, 0))), unless=may_fail[1])


def _known_rights(abi: int) -> int:
    rights = _ALL
    if abi < _REFER_ABI:
        rights &= ~_REFER
    if abi < _TRUNCATE_ABI:
        rights &= ~_TRUNCATE
    return rights

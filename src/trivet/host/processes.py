"""Processes as the kernel knows them: who they are for sure, how they ended, what they hold. Reads /proc only.

A process is known by its number, its start time and the boot it belongs to: numbers are used again. Whoever signals
does it through a pidfd, opened before the start time is compared; then no stranger can be hit.
"""

import contextlib
import errno
import fcntl
import os
import re
import signal
import struct
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from trivet.host.user import look_as_owner
from trivet.model.frozen import frozen

_STATE_FIELD, _GROUP_FIELD, _SESSION_FIELD, _START_FIELD = 0, 2, 3, 19  # after "(name) ", proc(5)
_OWN_STAT_BYTES = 400
_BLOCK_BYTES = 4096
_STAT_BYTES = 4096  # 52 numbers and a name of 15 bytes
# The most that a program can be started with, execve(2). A process may name all of its memory as its arguments or its
# environment (prctl(2), PR_SET_MM_MAP, which needs no power), and reading it whole would take us as much.
_ENVIRONMENT_BYTES = 6 * 1024 * 1024
_COMMAND_BYTES = 4096
_PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes), linux/pidfd.h
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_UNIX_LINE = re.compile(rb"[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]+) [0-9A-F]+ [0-9A-F]+ +([0-9]+) (.+)", re.DOTALL)
_ACCEPTS = 1 << 16  # __SO_ACCEPTCON in /proc/net/unix


@frozen
class Exit:
    """How a process ended: `status` 0-255, or the number of the `signal`; both None if nobody can tell."""

    status: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return signal_name(self.signal)
        return "exit unknown" if self.status is None else f"exit {self.status}"

    @property
    def signal_name(self) -> str | None:
        """`SIGKILL`, if a signal ended it."""
        return signal_name(self.signal) if self.signal is not None else None

    @property
    def is_killed(self) -> bool:
        return self.signal == signal.SIGKILL

    @property
    def told(self) -> str:
        """For a sentence: "exited with 1", "was ended by SIGKILL"."""
        if self.signal is not None:
            return f"was ended by {signal_name(self.signal)}"
        return "ended" if self.status is None else f"exited with {self.status}"


@frozen
class Holder:
    """Who listens on a port."""

    pid: int
    command: str


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def boot_id() -> str:
    """A word that differs after every boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since the boot; None if there is none, or only its remains."""
    fields = read_stat(pid)
    return int(fields[_START_FIELD]) if fields and fields[_STATE_FIELD] not in ("Z", "X") else None


def own_start_time() -> int:
    """As `start_time` of this very process; one that was just forked copies a page for whatever it touches: it is little."""
    descriptor = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    text = os.read(descriptor, _OWN_STAT_BYTES)
    os.close(descriptor)
    return int(text[text.rindex(b")") + 2 :].split(None, _START_FIELD + 1)[_START_FIELD])


def told_by(line: bytes) -> tuple[int, int] | None:
    """The number and the start time of a process by its line of /proc/PID/stat; None if it is no such line."""
    before, _, after = line.rpartition(b")")
    number, fields = before.partition(b" ")[0], after.split()
    if not number.isdigit() or len(fields) <= _START_FIELD or not fields[_START_FIELD].isdigit():
        return None
    return int(number), int(fields[_START_FIELD])


def find_again(pid: int, started: int) -> int | None:
    """A pidfd of exactly this process, if it still runs. The caller closes it."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if start_time(pid) == started:
        return descriptor
    os.close(descriptor)
    return None


def exit_of(pidfd: int) -> Exit:
    """How the process ended; our own child is reaped. What is not our child is told by Linux 6.15 and newer."""
    return _waited(pidfd, os.WEXITED | os.WNOHANG)


def peek_exit(pidfd: int) -> Exit:
    """How our own child, which has ended, did so; it is still to be reaped."""
    return _waited(pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def ended_child() -> int | None:
    """The pid of a child, born to us or left to us as a reaper, that has ended and is still to be reaped; any one."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


def reap(pid: int) -> None:
    """The child, which has ended, is no more."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def memory_kills() -> int:
    """How many processes the kernel has ended since the boot because memory had run out, of the machine or of a group."""
    text = _read("/proc/vmstat")
    _, found, after = text.partition(b"\noom_kill ")
    return int(after.partition(b"\n")[0]) if found else 0


def send_signal(pidfd: int, number: int) -> None:
    """The process has the signal, if it still runs."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return


def signal_group(group: int, number: int) -> bool:
    """Every process of the group has the signal; False: there is none."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_leader(pidfd: int, pid: int, number: int) -> None:
    """The process and the group that it leads have the signal; the process itself if it has not made its session yet."""
    if not signal_group(pid, number):
        send_signal(pidfd, number)
        signal_group(pid, number)  # it may have made it just now, and started something


def session_members(session: int) -> tuple[int, ...]:
    """The numbers of the session's processes: all that a process of ours has started, unless it left the session."""
    return tuple(pid for pid in list_pids() if (fields := read_stat(pid)) and int(fields[_SESSION_FIELD]) == session)


def listening_ports(pids: tuple[int, ...]) -> tuple[int, ...]:
    """The TCP ports that any of these processes listens on."""
    inodes = open_sockets(pids)
    return tuple(sorted({port for port, inode in _listeners() if inode in inodes}))


def open_sockets(pids: Iterable[int]) -> frozenset[str]:
    """The inodes of all sockets that any of these processes has open."""
    return frozenset(inode for pid in pids for inode in _socket_inodes(pid))


def socket_listener(pids: Iterable[int], path: str) -> int | None:
    """Which of these processes listens on the Unix socket that was bound to this path."""
    inodes = set(_unix_listeners(path))
    return next((pid for pid in pids if not inodes.isdisjoint(_socket_inodes(pid))), None) if inodes else None


def port_holder(port: int) -> Holder | None:
    """Who listens on this TCP port; None if nobody does or it cannot be told (another user's process)."""
    return next(iter(port_holders(port)), None)


def port_holders(port: int, but: Iterable[int] = ()) -> tuple[Holder, ...]:
    """Who holds a socket that listens on this TCP port and that none of those in `but` holds, as far as can be told."""
    inodes = {inode for number, inode in _listeners() if number == port}
    for pid in but:
        if not inodes:
            return ()
        inodes.difference_update(_socket_inodes(pid))
    return tuple(_holders(inodes))


def socket_holder(inode: str) -> Holder | None:
    """Who has this socket open; None if it cannot be told (another user's process)."""
    return next(_holders({inode}), None)


def command_line(pid: int) -> str:
    """The command as it was started, on one line; "" if there is no such process."""
    try:
        words = _read(f"/proc/{pid}/cmdline", _COMMAND_BYTES).split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words if word)


def user_of(pid: int) -> int | None:
    """The number of the user who the process really is, whatever it hides; None if there is no such process."""
    try:
        told = _read(f"/proc/{pid}/status").partition(b"\nUid:\t")[2].split()
    except OSError:
        return None
    return int(told[0]) if told else None


def environment(pid: int) -> bytes:
    """What the process was started with, `NAME=value` and a NUL each; it may say something else by now.

    None of a process that cannot be read, or has ended.
    """
    try:
        return look_as_owner(pid, partial(_read, f"/proc/{pid}/environ", _ENVIRONMENT_BYTES))
    except OSError:
        return b""


def _waited(pidfd: int, options: int) -> Exit:
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, options)
    except ChildProcessError:
        return _exit_of_stranger(pidfd)
    if ended is None:
        return Exit()
    if ended.si_code == os.CLD_EXITED:
        return Exit(status=ended.si_status)
    return Exit(signal=ended.si_status)


def _exit_of_stranger(pidfd: int) -> Exit:
    asked = _PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *(0,) * 13)
    try:
        answer = fcntl.ioctl(pidfd, _PIDFD_GET_INFO, asked)
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.ESRCH):
            raise
        return Exit()
    values = _PIDFD_INFO.unpack(answer)
    if not values[0] & _PIDFD_INFO_EXIT:
        return Exit()
    code = values[-1]
    return Exit(signal=code & 0x7F) if code & 0x7F else Exit(status=code >> 8 & 0xFF)


def read_stat(pid: int) -> list[str] | None:
    """What the kernel counts of the process, from its state on: proc_pid_stat(5). None if there is no such process."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # read for every process: pathlib is slow
        try:
            text = os.read(descriptor, _STAT_BYTES).decode(errors="replace")
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _read(path: str, most_bytes: int | None = None) -> bytes:
    """Of /proc, for what is waited for: pathlib is slow."""
    descriptor, blocks, left = os.open(path, os.O_RDONLY | os.O_CLOEXEC), [], most_bytes
    try:
        while block := os.read(descriptor, _BLOCK_BYTES if left is None else min(_BLOCK_BYTES, left)):
            blocks.append(block)
            left = None if left is None else left - len(block)
        return b"".join(blocks)
    finally:
        os.close(descriptor)


def list_pids() -> Iterator[int]:
    """The numbers of all processes of this machine."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def _holders(inodes: set[str]) -> Iterator[Holder]:
    found = (pid for pid in (list_pids() if inodes else ()) if not inodes.isdisjoint(_socket_inodes(pid)))
    return (Holder(pid, command_line(pid)) for pid in found)


def _listeners() -> Iterator[tuple[int, str]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN:
                yield int(fields[1].rpartition(":")[2], 16), fields[9]


def _unix_listeners(path: str) -> Iterator[str]:
    try:
        lines = _read("/proc/net/unix").split(b"\n")
    except OSError:
        return
    # A socket's name may hold anything, also what looks like a line of its own: unix(7).
    for found in filter(None, map(_UNIX_LINE.fullmatch, lines)):
        if found[3] == os.fsencode(path) and int(found[1], 16) & _ACCEPTS:
            yield found[2].decode()


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        targets = look_as_owner(pid, partial(_open_files, pid))
    except OSError:
        return
    for target in targets:
        if target.startswith("socket:["):
            yield target[8:-1]


def _open_files(pid: int) -> list[str]:
    folder, found = f"/proc/{pid}/fd", []
    for name in os.listdir(folder):  # noqa: PTH208
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"{folder}/{name}"))  # noqa: PTH115
    return found

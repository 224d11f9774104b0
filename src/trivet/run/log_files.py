"""The logs of a deploy: which there are, and what is written to them, cut off and removed."""

import os
import re
from pathlib import Path

from trivet.host import holes
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run import log_index
from trivet.run.log_index import LogIndex, index_path
from trivet.run.log_reader import LogReader

KEPT_RELEASES = 10
_NAME = re.compile(r"v([0-9]+)\.(.+)\.log")
_BLOCK_BYTES = 65536
_WORDS_BYTES, _WORDS_LINES, _WORDS_LONGEST = 4096, 5, 300
OUR_MARK = "trivet: "  # what Trivet writes into a process's log begins with this
_MOST_BYTES = 4 * 1024 * 1024
# Where Trivet is not root a log is its writer's, who may have a lease on it: whoever opens it would wait 45 s, fcntl(2).
UNWAITING = os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class LogFile:
    """The log of one process of one release."""

    release: int
    process: str
    path: Path


def list_logs(home: Home, deploy: Deploy) -> tuple[LogFile, ...]:
    """Every log of the deploy, by release and process."""
    folder = home.run(deploy) / "logs"
    found = [
        LogFile(int(match[1]), match[2], path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := _NAME.fullmatch(path.name))
    ]
    return tuple(sorted(found, key=lambda log: (log.release, log.process)))


def append_to_log(path: Path, data: bytes) -> None:
    """What somebody wrote whose output does not go there straight is at the end of the log, with its time. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | UNWAITING, 0o600)
    try:
        os.write(descriptor, data)
        log_index.append(path, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def cut_log(path: Path, offset: int) -> bool:
    """All before the first line that begins at this offset or later takes no room; whoever appends notices nothing.

    False: this file system cannot do that. Nothing behind that is ever touched. Raises: OSError.
    """
    with LogReader(path, waits=False) as reader:
        begin = reader.begin_of_line(offset)
    descriptor = os.open(path, os.O_RDWR | UNWAITING)
    try:
        if begin > 0 and not holes.punch(descriptor, begin):
            return False
    finally:
        os.close(descriptor)
    with LogIndex(path, 0.0) as index:
        index.cut(begin)
    return True


def remove_log(path: Path) -> None:
    """The log and its index are gone."""
    path.unlink(missing_ok=True)
    index_path(path).unlink(missing_ok=True)


def last_words(path: Path, start: int, end: int | None = None) -> tuple[str, ...]:
    """The last lines that a process wrote which began when the log had this size, and was no more at the end's.

    They are few and short, as people read them.

    None of a log that cannot be read. What Trivet itself has noted in the log is left out.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | UNWAITING)  # what is started again waits for it
    except OSError:
        return ()
    try:
        size = os.fstat(descriptor).st_size if end is None else end
        begin = max(start, size - _WORDS_BYTES)
        data = os.pread(descriptor, max(0, size - begin), begin)
    except OSError:
        return ()
    finally:
        os.close(descriptor)
    lines = [line.rstrip() for line in data.decode(errors="replace").split("\n")]
    told = lines[1:] if begin > start and len(lines) > 1 else lines  # the first one may have lost its begin
    return tuple(line[:_WORDS_LONGEST] for line in told if line and not line.startswith(OUR_MARK))[-_WORDS_LINES:]


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The last lines of the log, without their ends; read from its end. None of a log that cannot be read."""
    blocks: list[bytes] = []
    found = 0
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | UNWAITING), "rb") as file:
            position = end = file.seek(0, 2)
            while position > max(0, end - _MOST_BYTES) and found <= count:
                step = min(_BLOCK_BYTES, position)
                position = file.seek(position - step)
                blocks.append(file.read(step))
                found += blocks[-1].count(b"\n")
    except OSError:  # they only illustrate what is told anyway
        return ()
    lines = b"".join(reversed(blocks)).lstrip(b"\0").decode(errors="replace").split("\n")
    return tuple(line.rstrip("\r") for line in (lines if lines[-1] else lines[:-1])[-count:])

"""Reading logs: only as much as is shown, whatever their size, wherever their front was given back to the disk."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivet.errors import UnknownRelease
from trivet.host import holes
from trivet.host.clock import timestamp
from trivet.model.home import Home
from trivet.model.logs import LogChoice
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import Machine, log_index
from trivet.run.log_files import cut_log
from trivet.run.log_reader import LogReader

DEPLOY = Deploy(AppName("shop"), DeployName("production"))
START_S = 1_790_000_000.0


@pytest.fixture
def logs(home: Home) -> Path:
    """The deploy's folder of logs."""
    folder = home.run(DEPLOY) / "logs"
    folder.mkdir(parents=True)
    return folder


def _write(log: Path, lines: Iterable[str], *, every_s: float = 1.0) -> None:
    """Each line was written so long after the one before; all are in the index."""
    with log.open("ab") as file:
        for number, line in enumerate(lines):
            file.write(line.encode())
            log_index.append(log, file.tell(), START_S + number * every_s)


def _texts(home: Home, choice: LogChoice) -> list[str]:
    return [line.text for line in Machine(home).logs(DEPLOY, choice, follow=False)]


def _read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_lines_are_chosen_by_time_release_and_text(home: Home, logs: Path) -> None:
    _write(logs / "v1.web.1.log", (f"one {number}\n" for number in range(10)))
    _write(logs / "v2.web.1.log", (f"two {number}\n" for number in range(5, 15)), every_s=2.0)
    since, until = timestamp(START_S + 6), timestamp(START_S + 8)
    assert _texts(home, LogChoice(since=since, until=until)) == ["one 6", "two 8", "one 7", "one 8", "two 9"]
    assert _texts(home, LogChoice(since=since, until=until, lines=2)) == ["one 8", "two 9"]
    assert _texts(home, LogChoice(since=since, release=1)) == ["one 6", "one 7", "one 8", "one 9"]
    assert _texts(home, LogChoice(text="o 14")) == ["two 14"]
    assert _texts(home, LogChoice(lines=3, text="one")) == ["one 7", "one 8", "one 9"]
    assert _texts(home, LogChoice(until=timestamp(START_S - 1))) == []
    with pytest.raises(UnknownRelease) as raised:
        _texts(home, LogChoice(release=3))
    assert raised.value.message == "shop/production has no logs of v3."
    assert raised.value.hint == "It has those of: v1, v2."


def test_what_is_shown_is_all_that_is_read_of_a_gigabyte(home: Home, logs: Path) -> None:
    log = logs / "v1.web.1.log"
    _write(log, ["first\n"])
    with log.open("rb+") as file:  # what lies between would be read as well, if anybody read it
        file.truncate(10**9)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    log_index.append(log, log.stat().st_size, START_S + 1)
    for row in range(50_000):
        log_index.append(log, log.stat().st_size, START_S + 1 + row / 20)
    with log.open("ab") as file:
        file.write(b"".join(b"line %d\n" % number for number in range(1000)))
    log_index.append(log, log.stat().st_size, START_S + 10_000)
    for choice, first in (
        (LogChoice(since=timestamp(START_S + 9000)), "line 0"),
        (LogChoice(lines=3), "line 997"),
        (LogChoice(lines=1, text="line 500"), "line 500"),
    ):
        before = _read_bytes()
        assert _texts(home, choice)[0] == first
        assert _read_bytes() - before < 1_000_000, choice


def test_whatever_was_cut_off_in_front_the_lines_behind_are_whole(home: Home, logs: Path) -> None:
    log = logs / "v1.web.1.log"
    _write(log, (f"line {number} {'x' * 90}\n" for number in range(5000)))
    size = log.stat().st_size
    for offset in (10, 5000, 123_456, 300_000, size - 150):
        assert cut_log(log, offset)
        shown = _texts(home, LogChoice())
        kept = b"".join(line.encode() + b"\n" for line in shown)
        assert log.read_bytes().endswith(kept)
        assert shown[0].startswith("line ")
        assert size - offset - 200 <= len(kept) <= size - offset
        assert _texts(home, LogChoice(lines=10_000)) == shown
        assert _texts(home, LogChoice(lines=1)) == shown[-1:]
        assert _texts(home, LogChoice(since=timestamp(START_S))) == shown
        number = int(shown[0].split()[1])
        assert next(Machine(home).logs(DEPLOY, LogChoice(), follow=False)).at == timestamp(START_S + number)
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 <= 8192
    assert log_index.index_path(log).stat().st_blocks * 512 <= 8192


def test_one_who_follows_sees_every_line_of_a_log_that_is_cut_meanwhile(home: Home, logs: Path) -> None:
    log = logs / "v1.web.1.log"
    log.write_bytes(b"line 0\n")
    following = Machine(home).logs(DEPLOY, LogChoice(lines=1), follow=True)
    seen = [next(following).text]
    for turn in range(10):
        with log.open("ab") as file:
            file.write(b"".join(b"line %d\n" % number for number in range(turn * 1000 + 1, turn * 1000 + 1001)))
        seen.extend(next(following).text for _ in range(1000 - turn))
        size = log.stat().st_size
        assert cut_log(log, size - 2000)  # it has yet to tell 45 lines at most
    assert len(seen) > 9900
    assert seen == [f"line {number}" for number in range(len(seen))]


def test_all_that_is_cut_off_leaves_nothing_to_show(home: Home, logs: Path) -> None:
    log = logs / "v1.web.1.log"
    _write(log, ["a\n", "b\n"])
    with log.open("rb+") as file:
        assert holes.punch(file.fileno(), 4)
    assert _texts(home, LogChoice()) == []
    with log.open("ab") as file:
        file.write(b"c\n")
    assert _texts(home, LogChoice()) == ["c"]
    assert _texts(home, LogChoice(lines=5)) == ["c"]


def test_a_carriage_return_within_a_line_hides_nothing_that_follows(home: Home, logs: Path) -> None:
    _write(logs / "v1.web.1.log", ["10%\r50%\r100%\n", "done\r\n"])
    assert _texts(home, LogChoice()) == ["10%\r50%\r100%", "done"]
    assert _texts(home, LogChoice(lines=5)) == ["10%\r50%\r100%", "done"]


def test_a_line_without_end_is_told_in_parts(home: Home, logs: Path) -> None:
    log = logs / "v1.web.1.log"
    log.write_bytes(b"short\n" + b"x" * 3_000_000)
    shown = _texts(home, LogChoice())
    assert shown[0] == "short"
    assert "".join(shown[1:]) == "x" * 3_000_000
    assert all(len(part) < 1_200_000 for part in shown)
    assert "".join(_texts(home, LogChoice(lines=100))[1:]) == "x" * 3_000_000


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    pieces=st.lists(
        st.one_of(st.binary(max_size=30), st.integers(0, 200_000).map(lambda length: b"y" * length)), max_size=8
    ),
    cut=st.floats(0, 1),
)
def test_backwards_and_forwards_are_the_same_lines(tmp_path: Path, pieces: list[bytes], cut: float) -> None:
    log = tmp_path / "v1.web.1.log"
    content = b"\n".join(piece.replace(b"\0", b"0") for piece in pieces)
    log.write_bytes(content)
    with LogReader(log) as reader:
        assert reader.end == content.rfind(b"\n") + 1
        start = reader.begin_of_line(int(len(content) * cut))
        forwards = list(reader.lines(start, reader.end))
        assert forwards == list(reader.lines_back(start, reader.end))[::-1]
        assert b"".join(line for _, line in forwards) == content[start : reader.end]
        assert all(line.count(b"\n") == 1 and content[offset:].startswith(line) for offset, line in forwards)

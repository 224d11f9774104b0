"""The table of a change, row by row, and in histories: nothing runs here."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivet.model.run import Failure
from trivet.run.supervisor import change_table as table
from trivet.run.supervisor.change_table import TABLE, Event, Kind, Parties, Stage, State, step
from trivet.run.supervisor.intent import Phase

HISTORIES = json.loads((Path(__file__).parent / "histories.json").read_text())
PARTIES = Parties(
    starts=("v2.web.1", "v2.web.2", "v2.clock.1"),
    drops=("v1.web.1", "v1.clock.1"),
    clears=("v1.clock.1",),
    follows=("v2.clock.1",),
    watch_s=3.0,
)
BROKEN = Failure("it broke", "web.1", ("a line",))
UNTOUCHED = frozenset((table.Enter, table.Start, table.Mark, table.End))


def test_there_is_a_row_for_every_stage_and_every_event() -> None:
    assert set(TABLE) == set(Stage)
    assert all(set(rows) == set(Kind) for rows in TABLE.values())


MATTERS = {
    Stage.NEW: {Kind.BEGUN, Kind.REFUSED, Kind.ABORTED},
    Stage.STARTING: {Kind.READY, Kind.FAILED, Kind.REFUSED, Kind.ABORTED},
    Stage.CLEARING: {Kind.GONE, Kind.FAILED, Kind.REFUSED, Kind.ABORTED},
    Stage.REPLACING: {Kind.READY, Kind.FAILED, Kind.REFUSED, Kind.ABORTED},
    Stage.SHIFTING: {Kind.SHIFTED, Kind.REFUSED},
    Stage.WATCHING: {Kind.CALM, Kind.FAILED, Kind.REFUSED, Kind.ABORTED},
    Stage.DRAINING: {Kind.DRAINED, Kind.GONE},
    Stage.STOPPING: {Kind.GONE},
    Stage.PROVING: {Kind.PROVED},
    Stage.UNDOING: {Kind.GONE},
    Stage.ENDED: set(),
}


@pytest.mark.parametrize(
    ("stage", "kind"), [(stage, kind) for stage in Stage for kind in Kind if kind not in MATTERS[stage]]
)
def test_what_does_not_concern_a_stage_changes_nothing(stage: Stage, kind: Kind) -> None:
    state = State(PARTIES, stage, frozenset(("v2.web.1",)))
    assert step(state, Event(kind, "v2.web.1", BROKEN)) == (state, ())


W1, W2, CLOCK, OLD_WEB, OLD_CLOCK = "v2.web.1", "v2.web.2", "v2.clock.1", "v1.web.1", "v1.clock.1"
STARTS = (W1, W2, CLOCK)
UNDO = (table.Stop(STARTS),)


def _state(stage: Stage, *waiting: str, **more: object) -> State:
    return replace(State(PARTIES, stage, frozenset(waiting)), **more)  # type: ignore[arg-type]


def _undoing(*waiting: str, cleared: tuple[str, ...] = ()) -> State:
    return State(PARTIES, Stage.UNDOING, frozenset(waiting), cleared, BROKEN)


C = (OLD_CLOCK,)
ROWS = [
    (
        _state(Stage.NEW),
        Event(Kind.BEGUN),
        _state(Stage.STARTING, W1, W2),
        (table.Enter(Phase.STARTING), table.Start((W1, W2))),
    ),
    (_state(Stage.NEW), Event(Kind.REFUSED, "", BROKEN), _undoing(*STARTS), UNDO),
    (_state(Stage.NEW), Event(Kind.ABORTED, "", BROKEN), _undoing(*STARTS), UNDO),
    (_state(Stage.STARTING, W1, W2), Event(Kind.READY, W1), _state(Stage.STARTING, W2), ()),
    (
        _state(Stage.STARTING, W2),
        Event(Kind.READY, W2),
        _state(Stage.CLEARING, OLD_CLOCK, cleared=C),
        (table.Enter(Phase.CLEARING), table.Stop(C)),
    ),
    (_state(Stage.STARTING, W1), Event(Kind.FAILED, W1, BROKEN), _undoing(*STARTS), UNDO),
    (_state(Stage.STARTING, W1), Event(Kind.REFUSED, "", BROKEN), _undoing(*STARTS), UNDO),
    (_state(Stage.STARTING, W1), Event(Kind.ABORTED, "", BROKEN), _undoing(*STARTS), UNDO),
    (
        _state(Stage.CLEARING, OLD_CLOCK, cleared=C),
        Event(Kind.GONE, OLD_CLOCK),
        _state(Stage.REPLACING, CLOCK, cleared=C),
        (table.Enter(Phase.REPLACING), table.Start((CLOCK,))),
    ),
    *(
        (
            _state(Stage.CLEARING, OLD_CLOCK, cleared=C),
            Event(kind, W1, BROKEN),
            _undoing(OLD_CLOCK, *STARTS, cleared=C),
            UNDO,
        )
        for kind in (Kind.FAILED, Kind.REFUSED, Kind.ABORTED)
    ),
    (
        _state(Stage.REPLACING, CLOCK, cleared=C),
        Event(Kind.READY, CLOCK),
        _state(Stage.SHIFTING, cleared=C),
        (table.Enter(Phase.SHIFTING), table.Shift()),
    ),
    *(
        (_state(Stage.REPLACING, CLOCK, cleared=C), Event(kind, CLOCK, BROKEN), _undoing(*STARTS, cleared=C), UNDO)
        for kind in (Kind.FAILED, Kind.REFUSED, Kind.ABORTED)
    ),
    (
        _state(Stage.SHIFTING, cleared=C),
        Event(Kind.SHIFTED),
        _state(Stage.WATCHING, cleared=C),
        (table.Mark("shifted"), table.Note(Phase.WATCHING), table.Watch(3.0)),
    ),
    (
        _state(Stage.SHIFTING, cleared=C),
        Event(Kind.REFUSED, "", BROKEN),
        _undoing(*STARTS, cleared=C),
        (table.Note(Phase.REVERTING, "it broke"), table.GoBack(), table.Stop(STARTS)),
    ),
    (
        _state(Stage.WATCHING, cleared=C),
        Event(Kind.CALM),
        _state(Stage.DRAINING, OLD_WEB, cleared=C),
        (table.Mark("watched"), table.Note(Phase.SHIFTED), table.Keep(), table.Drain((OLD_WEB,))),
    ),
    *(
        (
            _state(Stage.WATCHING, cleared=C),
            Event(kind, W1, BROKEN),
            _undoing(*STARTS, cleared=C),
            (table.Note(Phase.REVERTING, "it broke"), table.GoBack(), table.Drain(STARTS)),
        )
        for kind in (Kind.FAILED, Kind.REFUSED, Kind.ABORTED)
    ),
    (_state(Stage.DRAINING, OLD_WEB), Event(Kind.GONE, OLD_WEB), _state(Stage.DRAINING), ()),
    (
        _state(Stage.DRAINING, OLD_WEB),
        Event(Kind.DRAINED),
        _state(Stage.STOPPING, OLD_WEB),
        (table.Mark("drained"),),
    ),
    (
        _state(Stage.DRAINING),
        Event(Kind.DRAINED),
        _state(Stage.PROVING),
        (table.Mark("drained"), table.Mark("stopped"), table.Prove()),
    ),
    (
        _state(Stage.STOPPING, OLD_WEB),
        Event(Kind.GONE, OLD_WEB),
        _state(Stage.PROVING),
        (table.Mark("stopped"), table.Prove()),
    ),
    (_state(Stage.STOPPING, OLD_WEB), Event(Kind.GONE, W1), _state(Stage.STOPPING, OLD_WEB), ()),
    (_state(Stage.PROVING), Event(Kind.PROVED), _state(Stage.ENDED), (table.End(None),)),
    (_undoing(W1, W2), Event(Kind.GONE, W1), _undoing(W2), ()),
    (_undoing(W2), Event(Kind.GONE, W2), replace(_undoing(), stage=Stage.ENDED), (table.End(BROKEN),)),
    (
        _undoing(W2, cleared=C),
        Event(Kind.GONE, W2),
        replace(_undoing(cleared=C), stage=Stage.ENDED),
        (table.BringBack(C), table.End(BROKEN)),
    ),
]


@pytest.mark.parametrize(
    ("state", "event", "after", "actions"),
    ROWS,
    ids=[f"{row[0].stage}-{row[1].kind}-{n}" for n, row in enumerate(ROWS)],
)
def test_a_row_says_what_comes_next_and_what_is_to_be_done(
    state: State, event: Event, after: State, actions: tuple[table.Action, ...]
) -> None:
    assert step(state, event) == (after, actions)


def test_every_row_that_does_something_is_tried() -> None:
    tried = {(state.stage, event.kind) for state, event, _, _ in ROWS}
    assert tried == {(stage, kind) for stage, kinds in MATTERS.items() for kind in kinds}


def _told(action: table.Action) -> str:
    """An action as the histories write it: `stop v1.web.1`, `end: it broke`."""
    match action:
        case table.Enter(phase):
            return f"enter {phase}"
        case table.Note(phase, _):
            return f"note {phase}"
        case table.Start(names) | table.Stop(names) | table.Drain(names) | table.BringBack(names):
            return " ".join((type(action).__name__.lower().replace("bringback", "bring back"), *names))
        case table.Mark(reached):
            return f"mark {reached}"
        case table.Watch(seconds):
            return f"watch {seconds:g} s"
        case table.End(failure):
            return f"end: {failure.reason}" if failure else "end"
        case _:
            return type(action).__name__.lower().replace("goback", "go back")


def _heard(text: str) -> Event:
    """`gone v1.web.1`, `failed v2.web.1: it broke`."""
    words, _, reason = text.partition(": ")
    kind, _, process = words.partition(" ")
    return Event(Kind(kind), process, Failure(reason))


@pytest.mark.parametrize("history", HISTORIES, ids=[history["name"] for history in HISTORIES])
def test_a_history_of_events_is_answered_with_these_actions(history: Any) -> None:
    parties: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in history["parties"].items()
    }
    state = State(Parties(**parties))
    for event, expected in history["events"]:
        state, actions = step(state, _heard(event))
        assert [_told(action) for action in actions] == expected, event
    assert state.stage == history["ends"]


names = st.sampled_from(("web.1", "web.2", "worker.1", "clock.1"))


@st.composite
def parties(draw: st.DrawFn) -> Parties:
    """Any change: what starts, what it replaces; `clock` never runs twice."""
    starts = tuple(f"v2.{name}" for name in sorted(draw(st.sets(names))))
    drops = tuple(f"v1.{name}" for name in sorted(draw(st.sets(names))))
    both = "v2.clock.1" in starts and "v1.clock.1" in drops
    clears, follows = (("v1.clock.1",), ("v2.clock.1",)) if both else ((), ())
    return Parties(starts, drops, clears, follows, draw(st.sampled_from((0.0, 3.0))) if drops else 0.0)


class World:
    """What a machine is told to do, obeyed in any order, with whatever may go wrong; and what must hold of it."""

    def __init__(self, parties: Parties) -> None:
        self.parties = parties
        self.state = State(parties)
        self.old = set(parties.drops)  # those that nobody has told to end
        self.running = set(parties.drops)
        self.ends: list[Failure | None] = []
        self.due: list[Event] = [Event(Kind.BEGUN)]
        self.serving = "old"
        self.phase: Phase | None = None
        self.failed = False

    def take(self, event: Event) -> None:
        before = self.state.stage
        self.state, actions = step(self.state, event)
        if self.state.stage is Stage.UNDOING and before not in (Stage.UNDOING, Stage.WATCHING, Stage.SHIFTING):
            self.failed = True
        assert before is not Stage.ENDED or actions == ()
        for action in actions:
            self.do(action)

    def do(self, action: table.Action) -> None:  # noqa: C901  # one case an action
        match action:
            case table.Enter(phase) | table.Note(phase, _):
                self.phase = phase
            case table.Start(started):
                assert self.phase in (Phase.STARTING, Phase.REPLACING)
                assert not ("v2.clock.1" in started and "v1.clock.1" in self.running), "two clocks at once"
                self.running |= set(started)
                self.due += [Event(Kind.READY, name) for name in started]
            case table.Stop(told):
                self.end(told)
            case table.Shift():
                assert self.phase is Phase.SHIFTING
                self.serving = "new"
                self.due.append(Event(Kind.SHIFTED))
            case table.Watch():
                assert self.phase is Phase.WATCHING
                self.due.append(Event(Kind.CALM))
            case table.Drain(told):
                self.end(told)
                self.due.append(Event(Kind.DRAINED))
            case table.GoBack():
                assert self.phase is Phase.REVERTING
                assert self.old >= set(self.parties.last), "there is nothing to go back to"
                self.serving = "old"
            case table.BringBack(again):
                assert self.running.isdisjoint((*again, *self.parties.follows)), "two clocks at once"
                self.running |= set(again)
                self.old |= set(again)
            case table.Prove():
                self.due.append(Event(Kind.PROVED))
            case table.End(failure):
                self.ends.append(failure)
            case _:
                pass

    def end(self, told: tuple[str, ...]) -> None:
        for name in told:
            if name in self.parties.drops:
                assert not self.failed, "after a failure before the shift nothing of the old is touched"
                assert self.serving == "new" or (name in self.parties.clears and self.phase is Phase.CLEARING)
            self.old.discard(name)
            self.due.append(Event(Kind.GONE, name))

    def obey(self, number: int) -> None:
        event = self.due.pop(number % len(self.due))
        if event.kind is Kind.GONE:
            self.running.discard(event.process)
        self.take(event)


@given(parties(), st.lists(st.tuples(st.integers(0, 20), st.sampled_from((None, None, *Kind)), names), max_size=40))
def test_whatever_happens_in_whatever_order_a_change_ends_once_and_whole(
    change: Parties, turns: list[tuple[int, Kind | None, str]]
) -> None:
    world = World(change)
    for number, kind, name in turns:
        if world.due and (kind is None or kind in (Kind.BEGUN, Kind.SHIFTED, Kind.CALM, Kind.DRAINED, Kind.PROVED)):
            world.obey(number)
        elif kind in (Kind.FAILED, Kind.ABORTED, Kind.REFUSED) and world.state.stage is not Stage.SHIFTING:
            world.take(Event(kind, f"v2.{name}", Failure(f"{kind} {name}")))
    while world.due:
        world.obey(0)
    assert len(world.ends) == 1
    if world.ends[0] is None:
        assert (world.serving, world.old, world.running) == ("new", set(), set(change.starts))
    else:
        assert (world.serving, world.old, world.running) == ("old", set(change.drops), set(change.drops))


def test_the_table_in_the_documentation_is_the_one_in_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs/explanation/rolling-out.md").read_text()
    assert "\n".join(_documented()) in text


def _documented() -> Iterator[str]:
    """The table as Markdown: a row a stage, and where each event leads. Where nothing is said, nothing changes."""
    yield f"| | {' | '.join(Kind)} |"
    yield f"|---|{'---|' * len(Kind)}"
    for stage, rows in TABLE.items():
        cells = [row.__name__.strip("_").replace("_", " ").replace("ignore", "") for row in rows.values()]
        yield f"| **{stage}** | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(_documented()))

"""A change of what runs, as a table of state and event: pure, so that every row and every history can be tried.

`step` says what comes next and what is to be done for it; `change.py` does it and says what came of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.run import Failure
from trivet.run.supervisor.intent import Phase

_NO_FAILURE = Failure("")


class Stage(StrEnum):
    """How far a change has come.

    STARTING: the new processes are at the gate, beside the old. CLEARING: the old that must not run beside their
    successors end. REPLACING: those successors are at the gate. SHIFTING: the new is to serve. WATCHING: it does, and the
    old is kept to go back to. DRAINING: the old answers its last requests. STOPPING: it ends. PROVING: it is looked at what
    answers. UNDOING: the new ends.
    """

    NEW = "new"
    STARTING = "starting"
    CLEARING = "clearing"
    REPLACING = "replacing"
    SHIFTING = "shifting"
    WATCHING = "watching"
    DRAINING = "draining"
    STOPPING = "stopping"
    PROVING = "proving"
    UNDOING = "undoing"
    ENDED = "ended"


class Kind(StrEnum):
    """What can happen to a change.

    BEGUN: somebody wants it. READY: a new process has passed the gate. FAILED: one has not, has ended, or fails its health
    check. REFUSED: the machine did not let us do what was to be done. ABORTED: somebody wants it undone. SHIFTED: the new
    serves. CALM: it was watched long enough. DRAINED: the old works on nothing. GONE: a process has ended as it was told.
    PROVED: it is known what answers.
    """

    BEGUN = "begun"
    READY = "ready"
    FAILED = "failed"
    REFUSED = "refused"
    ABORTED = "aborted"
    SHIFTED = "shifted"
    CALM = "calm"
    DRAINED = "drained"
    GONE = "gone"
    PROVED = "proved"


@frozen
class Event:
    """One thing that happened: to the process of this name (`Status.name`), or for this reason."""

    kind: Kind
    process: str = ""
    failure: Failure = _NO_FAILURE


@frozen
class Parties:
    """The processes of a change by their names: those that start, those that they replace.

    `clears` are those of the old that must have ended before `follows`, their successors, start. `watch_s`: how long the
    old is kept after the shift; 0: there is nothing to go back to.
    """

    starts: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    watch_s: float = 0.0

    @property
    def first(self) -> tuple[str, ...]:
        """The new that start beside the old."""
        return tuple(name for name in self.starts if name not in self.follows)

    @property
    def last(self) -> tuple[str, ...]:
        """The old that run until the new serves."""
        return tuple(name for name in self.drops if name not in self.clears)


@frozen
class State:
    """A change at one moment. `waiting`: the processes without which it does not go on. `cleared`: the old told to end early."""

    parties: Parties
    stage: Stage = Stage.NEW
    waiting: frozenset[str] = frozenset()
    cleared: tuple[str, ...] = ()
    failure: Failure | None = None


@frozen
class Enter:
    """The intent says that this phase begins; if that cannot be written, nothing of it is done."""

    phase: Phase


@frozen
class Note:
    """The intent says so, as far as the machine lets us: what is done next is done in any case."""

    phase: Phase
    reason: str = ""


@frozen
class Start:
    """These new processes are started and stand at the gate."""

    names: tuple[str, ...]


@frozen
class Stop:
    """These processes are told to end."""

    names: tuple[str, ...]


@frozen
class Mark:
    """This step is reached: whoever waits is told, with the time."""

    step: str


@frozen
class Shift:
    """Requests go to the new, which is what is meant to run."""


@frozen
class Watch:
    """The new is watched for so long: an end or a failing health check is a failure."""

    seconds: float


@frozen
class Keep:
    """The new is kept alive for good, and the old is no longer needed."""


@frozen
class Drain:
    """These processes, to which no request goes any more, are told to end as soon as they work on none."""

    names: tuple[str, ...]


@frozen
class Prove:
    """It is found out what answers now, and what is left of the old."""


@frozen
class GoBack:
    """Requests go to the old again, which is what is meant to run."""


@frozen
class BringBack:
    """What these old processes were is started again."""

    names: tuple[str, ...]


@frozen
class End:
    """Whoever asked is told how it ended."""

    failure: Failure | None


Action = Enter | Note | Start | Stop | Mark | Shift | Watch | Keep | Drain | Prove | GoBack | BringBack | End
Step = tuple[State, tuple[Action, ...]]
Row = Callable[[State, Event], Step]


def step(state: State, event: Event) -> Step:
    """What comes of the event, and what is to be done, in this order. Pure."""
    return TABLE[state.stage][event.kind](state, event)


def _ignore(state: State, _: Event) -> Step:
    return state, ()


def _start(state: State, _: Event) -> Step:
    first = state.parties.first
    if not first:
        after, actions = _clear(state)
        return after, (Enter(Phase.STARTING), *actions)
    return _wait(state, Stage.STARTING, first), (Enter(Phase.STARTING), Start(first))


def _ready_beside(state: State, event: Event) -> Step:
    left = _without(state, event)
    return (left, ()) if left.waiting else _clear(left)


def _clear(state: State) -> Step:
    clears = state.parties.clears
    if not clears:
        return _replace(state)
    return replace(_wait(state, Stage.CLEARING, clears), cleared=clears), (Enter(Phase.CLEARING), Stop(clears))


def _cleared(state: State, event: Event) -> Step:
    left = _without(state, event)
    return (left, ()) if left.waiting else _replace(left)


def _replace(state: State) -> Step:
    follows = state.parties.follows
    if not follows:
        return _shift(state)
    return _wait(state, Stage.REPLACING, follows), (Enter(Phase.REPLACING), Start(follows))


def _ready_instead(state: State, event: Event) -> Step:
    left = _without(state, event)
    return (left, ()) if left.waiting else _shift(left)


def _shift(state: State) -> Step:
    return replace(state, stage=Stage.SHIFTING), (Enter(Phase.SHIFTING), Shift())


def _shifted(state: State, event: Event) -> Step:
    seconds = state.parties.watch_s
    if seconds > 0:
        actions = (Mark("shifted"), Note(Phase.WATCHING), Watch(seconds))
        return replace(state, stage=Stage.WATCHING), actions
    after, draining = _drain(state, event)
    return after, (Mark("shifted"), *draining)


def _calm(state: State, event: Event) -> Step:
    after, actions = _drain(state, event)
    return after, (Mark("watched"), *actions)


def _drain(state: State, _: Event) -> Step:
    last = state.parties.last
    return _wait(state, Stage.DRAINING, last), (Note(Phase.SHIFTED), Keep(), Drain(last))


def _drained(state: State, _: Event) -> Step:
    if state.waiting:
        return replace(state, stage=Stage.STOPPING), (Mark("drained"),)
    after, actions = _stopped(state)
    return after, (Mark("drained"), *actions)


def _gone_early(state: State, event: Event) -> Step:
    return _without(state, event), ()


def _gone_at_last(state: State, event: Event) -> Step:
    left = _without(state, event)
    return (left, ()) if left.waiting else _stopped(left)


def _stopped(state: State) -> Step:
    return replace(state, stage=Stage.PROVING), (Mark("stopped"), Prove())


def _proved(state: State, _: Event) -> Step:
    return replace(state, stage=Stage.ENDED), (End(None),)


def _undo(state: State, event: Event) -> Step:
    """Nothing has shifted: the new ends, and of the old only what had to end before it has to be started again."""
    ending = state.waiting if state.stage is Stage.CLEARING else frozenset()
    waiting = ending | set(state.parties.starts)
    return _failed(state, event, waiting, (Stop(state.parties.starts),))


def _take_back(state: State, event: Event) -> Step:
    """The shift itself failed, perhaps half-way."""
    waiting = frozenset(state.parties.starts)
    return _failed(state, event, waiting, (_reverting(event), GoBack(), Stop(state.parties.starts)))


def _go_back(state: State, event: Event) -> Step:
    """The new has served: it answers what it has begun to answer, and ends."""
    waiting = frozenset(state.parties.starts)
    return _failed(state, event, waiting, (_reverting(event), GoBack(), Drain(state.parties.starts)))


def _failed(state: State, event: Event, waiting: frozenset[str], actions: tuple[Action, ...]) -> Step:
    undoing = replace(state, stage=Stage.UNDOING, waiting=waiting, failure=event.failure)
    if waiting:
        return undoing, actions
    after, last = _undone(undoing)
    return after, (*actions, *last)


def _gone_undoing(state: State, event: Event) -> Step:
    left = _without(state, event)
    return (left, ()) if left.waiting else _undone(left)


def _undone(state: State) -> Step:
    again = (BringBack(state.cleared),) if state.cleared else ()
    return replace(state, stage=Stage.ENDED), (*again, End(state.failure))


def _reverting(event: Event) -> Note:
    return Note(Phase.REVERTING, event.failure.reason)


def _wait(state: State, stage: Stage, names: tuple[str, ...]) -> State:
    return replace(state, stage=stage, waiting=frozenset(names))


def _without(state: State, event: Event) -> State:
    return replace(state, waiting=state.waiting - {event.process})


def _table(**rows: tuple[Row, ...]) -> Mapping[Stage, Mapping[Kind, Row]]:
    return {Stage(stage): dict(zip(Kind, row, strict=True)) for stage, row in rows.items()}


_ = _ignore
# fmt: off
TABLE = _table(
    #          begun   ready           failed    refused     aborted   shifted   calm   drained   gone           proved
    new=      (_start, _,              _,        _undo,      _undo,    _,        _,     _,        _,             _),
    starting= (_,      _ready_beside,  _undo,    _undo,      _undo,    _,        _,     _,        _,             _),
    clearing= (_,      _,              _undo,    _undo,      _undo,    _,        _,     _,        _cleared,      _),
    replacing=(_,      _ready_instead, _undo,    _undo,      _undo,    _,        _,     _,        _,             _),
    # Nothing comes between the beginning of the shift and its end: it is one step.
    shifting= (_,      _,              _,        _take_back, _,        _shifted, _,     _,        _,             _),
    watching= (_,      _,              _go_back, _go_back,   _go_back, _,        _calm, _,        _,             _),
    draining= (_,      _,              _,        _,          _,        _,        _,     _drained, _gone_early,   _),
    stopping= (_,      _,              _,        _,          _,        _,        _,     _,        _gone_at_last, _),
    proving=  (_,      _,              _,        _,          _,        _,        _,     _,        _,             _proved),
    undoing=  (_,      _,              _,        _,          _,        _,        _,     _,        _gone_undoing, _),
    ended=    (_,      _,              _,        _,          _,        _,        _,     _,        _,             _),
)
# fmt: on

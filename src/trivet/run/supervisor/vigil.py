"""The vigil over processes that serve: their health checks are made again and again, until it was long enough."""

import time
from collections.abc import Callable, Iterable
from functools import partial

from trivet.run.supervisor.gate import Question, judge_answer, patience_s
from trivet.run.supervisor.loop import Action, Alarm, Loop
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.traffic import answers_others

FAILURES_IN_A_ROW = 3
_FAILING_S = 1.0  # and for so long: however often it is asked, what is over sooner is no reason to go back
_INTERVAL_S = 0.5

Fail = Callable[[Process, str], None]


class Vigil:
    """Watches processes for so many seconds. Told once: `fail` of the first that fails three checks in a row, or `calm`.

    What is in doubt when the time is over is waited for: no answer is waited for less because the vigil is short. That a
    process ended is its own matter.
    """

    def __init__(self, loop: Loop, processes: Iterable[Process], seconds: float, fail: Fail, calm: Action) -> None:
        self._calm = calm
        self._is_over = False
        self._guards = tuple(
            Guard(loop, process, partial(fail, process), self._on_doubt_gone)
            for process in processes
            if process.knock is not None
        )
        self._alarm = loop.after(seconds, self._on_over)

    def close(self) -> None:
        """Nothing will be told any more."""
        self._alarm.cancel()
        for guard in self._guards:
            guard.close()

    def _on_over(self) -> None:
        self._is_over = True
        self._on_doubt_gone()

    def _on_doubt_gone(self) -> None:
        if self._is_over and not any(guard.doubts for guard in self._guards):
            self.close()
            self._calm()


class Guard:
    """Asks one process for its health, over and over."""

    def __init__(self, loop: Loop, process: Process, fail: Callable[[str], None], sure: Action) -> None:
        self._loop = loop
        self._process = process
        self._fail = fail
        self._sure = sure
        self._interval_s = process.plan.check.interval_s or _INTERVAL_S
        self._question: Question | None = None
        self._alarm: Alarm = loop.after(self._interval_s, self._next)
        self._bad = 0
        self._bad_since = 0.0

    @property
    def doubts(self) -> bool:
        """Whether the last answer was bad, or one is waited for."""
        return self._bad > 0 or self._question is not None

    def close(self) -> None:
        """Nothing will be told any more."""
        self._alarm.cancel()
        if self._question is not None:
            self._question.close()
            self._question = None

    def _next(self) -> None:
        plan, knock = self._process.plan, self._process.knock
        if knock is not None:
            self._question = Question(self._loop, (plan, knock), patience_s(plan), self._on_answer)

    def _on_answer(self, status: int | None) -> None:
        trouble = self._judge(status)
        self.close()
        self._alarm = self._loop.after(self._interval_s, self._next)
        if trouble is None:
            self._bad = 0
            self._sure()
            return
        self._bad += 1
        if self._bad == 1:
            self._bad_since = time.monotonic()
        if self._bad >= FAILURES_IN_A_ROW and time.monotonic() - self._bad_since >= _FAILING_S:
            self.close()
            self._fail(f"{self._process.plan.name} failed its health check {self._bad} times in a row: {trouble}")

    def _judge(self, status: int | None) -> str | None:
        """What is wrong; None: nothing, or the process had no time for us, because it answers others."""
        plan, question = self._process.plan, self._question
        if status is not None:
            return judge_answer(plan, status)
        if question is None or not question.is_overdue:
            return f"GET {plan.health or '/'} was refused, or cut off"
        waited_s = patience_s(plan)
        # One that failed before may have no time because of what it hangs over: then this is no excuse.
        if self._bad == 0 and answers_others(self._process.status, question.port, waited_s):
            return None
        return f"GET {plan.health or '/'} was not answered within {waited_s:g} s"

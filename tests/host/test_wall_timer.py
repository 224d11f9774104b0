"""The timer on the wall clock."""

import select
import time

from trivet.host.wall_timer import WallTimer


def test_it_is_readable_once_its_moment_has_come_and_not_before() -> None:
    timer = WallTimer()
    try:
        poll = select.poll()
        poll.register(timer.fileno(), select.POLLIN)
        moment = int(time.time()) + 1.0
        timer.set(moment)
        assert poll.poll(30_000)
        assert time.time() >= moment
        timer.heed()
        assert not poll.poll(0)
        timer.set(None)
        timer.heed()
        assert not poll.poll(0)
        timer.set(moment)  # it has passed
        assert poll.poll(30_000)
    finally:
        timer.close()

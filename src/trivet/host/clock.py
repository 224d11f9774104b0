"""The one clock. Wall time is for display and records only; whatever waits or measures uses the monotonic clock."""

import time


def now() -> str:
    """The time as ISO 8601 in UTC with milliseconds, `2026-11-23T19:04:12.123Z`: sorts as text."""
    return timestamp(time.time())


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds."""
    whole = int(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((seconds - whole) * 1000):03d}Z"


def seconds_of(at: str) -> float:
    """The seconds since the epoch that `timestamp` made this of."""
    from calendar import timegm  # 0.3 MB, which what keeps processes running has no use for

    return timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) + float(f"0{at[19:].rstrip('Z') or '.0'}")


def seconds_since_epoch() -> float:
    """The time as files have it."""
    return time.time()


def monotonic_s() -> float:
    """Seconds on a clock that never jumps; only differences mean something."""
    return time.monotonic()

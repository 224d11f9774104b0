"""What the build stage has to tell: what was built, and what failed to be."""

from trivet.model.attempt import Attempt
from trivet.model.release import Act, Actor
from trivet.model.story import Line, Topic


def tell_attempt(attempt: Attempt) -> Line:
    """A build that was made, or was not."""
    commit = f"{attempt.commit[:8]} {attempt.subject}"
    told = f"build of {commit} failed: {_sentence(attempt.failure)}"
    if attempt.build is not None:
        told = f"build {attempt.build} of {commit} made in {attempt.duration_s:.1f} s"
    user, _, host = attempt.actor.rpartition("@")
    return Line(
        attempt.at,
        attempt.app,
        Topic.BUILD_FAILED if attempt.build is None else Topic.BUILD,
        told,
        act=Act(Actor(user, host)) if attempt.actor else None,
        build=attempt.build,
        commit=attempt.commit,
        subject=attempt.subject,
        failure=attempt.failure or None,
    )


def _sentence(text: str) -> str:
    return text.rstrip(".")

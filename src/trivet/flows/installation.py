"""Whom a flow works for, and where: one installation of Trivet as one person uses it."""

import getpass
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Protocol

from trivet.errors import MachineError
from trivet.host import lock
from trivet.host.clock import now
from trivet.host.files import refused
from trivet.host.ssh_login import login_key
from trivet.model.frozen import frozen
from trivet.model.home import Home, home_from_environment
from trivet.model.names import Deploy
from trivet.model.release import Act, Actor


class Progress(Protocol):
    """What a flow tells while it works; a way in decides how that looks."""

    def step(self, stage: str, text: str) -> None:
        """A step of the stage `build`, `release` or `run`, or of the build's phase `fetch` or `compile`, begins or is done."""

    def output(self, line: str) -> None:
        """A command of the app wrote this line."""

    def notice(self, text: str) -> None:
        """Something that the person should know, though nothing failed."""


@frozen
class Installation:
    """One $TRIVET_HOME and the person at work in it.

    `caller` is the person's environment, `wait` whether they wait for a lock, `reason` what they said it is for.
    """

    home: Home
    actor: Actor
    caller: Mapping[str, str] = field(default_factory=dict, repr=False)
    wait: bool = True
    reason: str = ""

    @property
    def by(self) -> Act:
        """Who asks, and why, for what makes no release."""
        return Act(self.actor, self.reason)

    @contextmanager
    def working_on(self, deploy: Deploy, what: str, progress: Progress) -> Iterator[None]:
        """Nobody else changes the deploy inside the block. Raises: Busy, if the person does not want to wait."""

        def tell(other: str) -> None:
            progress.notice(f"waiting for {deploy}: {other} is at work on it")

        with (
            lock.hold(self.home.lock(deploy), self._holder(what), wait=self.wait, waiting=tell),
            self.using_store(progress),
        ):
            yield

    @contextmanager
    def using_store(self, progress: Progress) -> Iterator[None]:
        """No build is pruned inside the block. Raises: Busy, if the person does not want to wait."""

        def tell(other: str) -> None:
            progress.notice(f"waiting for the builds: {other} is at work on them")

        with lock.share(self.home.store_lock, wait=self.wait, waiting=tell, what="the builds"):
            yield

    @contextmanager
    def alone_with_store(self, what: str, progress: Progress, *, wait: bool) -> Iterator[None]:
        """Nobody builds or releases inside the block. Raises: Busy, if it is not to wait."""

        def tell(other: str) -> None:
            progress.notice(f"waiting for the builds: {other} is at work on them")

        with lock.hold(self.home.store_lock, self._holder(what), wait=wait, waiting=tell, what="the builds"):
            yield

    def _holder(self, what: str) -> str:
        return f"{self.actor} (trivet {what}, pid {os.getpid()}, since {now()[:19]}Z)"


def open_installation(environment: Mapping[str, str], *, wait: bool = True, reason: str = "") -> Installation:
    """The installation that the environment points to, used by the person who runs this process."""
    home = home_from_environment(environment, is_root=os.geteuid() == 0)
    actor = Actor(_user(), platform.node() or "localhost", login_key(environment))
    return Installation(home, actor, dict(environment), wait, reason)


def refusal(error: OSError) -> MachineError:
    """The machine's refusal in words, where no flow has said yet what it was about."""
    return refused(error, f"use {error.filename}" if error.filename else "go on")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())

"""Homes and repositories that clean up after themselves; and workers that do not meet."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.apart import Network, can_be_apart
from support.command import Trivet
from support.repository import Repository

# How long an example takes, or making one up, is the machine's matter.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
os.environ["TRIVET_WARM"] = "0.1"  # the release before is kept no longer, unless a test says so
# `make test &` in a script and `nohup` have them ignored, and so would be what tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository in a folder called `shop`."""
    return Repository(tmp_path / "shop")


@pytest.fixture
def trivet(tmp_path: Path, repository: Repository) -> Iterator[Trivet]:
    """`trivet` typed in the repository; whatever it started is ended afterwards."""
    command = Trivet(tmp_path / "home", repository.path)
    yield command
    command.run("down")


_WORKERS = 4  # on two cores: most tests wait most of the time
_network = pytest.StashKey[Network]()


def pytest_xdist_auto_num_workers() -> int:
    """How many processes run the suite: several where each can have a network of its own, this one otherwise."""
    return _WORKERS if can_be_apart() else 0


def pytest_configure(config: pytest.Config) -> None:
    """A worker makes its network."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.stash[_network] = Network()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, in one worker; those that fetch all share one. Before xdist reads the groups."""
    for item in items:
        group = "fetches" if item.get_closest_marker("fetches") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Each test runs in the network that it needs."""
    network = item.config.stash.get(_network, None)
    if network is not None:
        network.enter(shared=item.get_closest_marker("fetches") is not None)
    return (yield)

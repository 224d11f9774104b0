"""Homes whose processes are ended afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import Shop
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import Machine


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home, whose apps may read the Python that runs the tests: theirs is the same, wherever it lies."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.opened("readable", None).write_text(f"{sys.prefix}\n{sys.base_prefix}\n")
    return home


@pytest.fixture
def quiet_shop(home: Home) -> Iterator[Shop]:
    """One deploy of an empty home; nothing runs, and whatever is started is ended afterwards."""
    shop = Shop(home, Deploy(AppName("shop"), DeployName("production")), Machine(home))
    yield shop
    shop.machine.down()


@pytest.fixture
def shop(quiet_shop: Shop) -> Shop:
    """The same, and its supervisor runs."""
    quiet_shop.machine.up()
    return quiet_shop

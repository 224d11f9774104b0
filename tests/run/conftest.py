"""Homes whose processes are ended afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import Shop
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import Machine


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def shop(home: Home) -> Iterator[Shop]:
    """One deploy of an empty home, whose supervisor runs; whatever runs is ended afterwards."""
    shop = Shop(home, Deploy(AppName("shop"), DeployName("production")), Machine(home))
    shop.machine.up()
    yield shop
    shop.machine.up()
    shop.machine.down()

"""Homes and repositories that clean up after themselves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Trivet
from support.repository import Repository

os.environ["TRIVET_WARM"] = "0.1"  # the release before is kept no longer, unless a test says so


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

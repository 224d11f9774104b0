"""Samples: an app with about 10,000 vendored Python files, and one with about 300 Node packages, each in a repository.

Their manifests and lockfiles stand in `bench/apps/`; their own 240 modules are made here. Every change is a commit.
"""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_APPS = Path(__file__).parent / "apps"
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0")
_MODULES = 240
_FUNCTIONS = 30

_PYTHON_FUNCTION = """

def total_{number}(orders: list[dict[str, int]], discount: int = {number}) -> int:
    # The sum of what was ordered, less the discount.
    chosen = [order for order in orders if order.get("state", 0) == {number}]
    return sum(order["price"] * order["count"] for order in chosen) - discount
"""
_NODE_FUNCTION = """
exports.total{number} = (orders, discount = {number}) => {{
  // The sum of what was ordered, less the discount.
  const chosen = orders.filter((order) => order.state === {number})
  return chosen.reduce((sum, order) => sum + order.price * order.count, 0) - discount
}}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """An app in a repository of its own; `name` is its folder in `bench/apps/`."""

    name: str
    repository: Path

    @property
    def modules(self) -> Path:
        return self.repository / "shop"

    def module(self, number: int) -> Path:
        """One of the app's own files."""
        return self.modules / f"module_{number:03}.{'py' if self.name == 'python' else 'js'}"

    def change_all(self) -> None:
        """A commit in which each of the app's own files has changed."""
        self._change(range(_MODULES))

    def change_one(self) -> None:
        """A commit in which one of the app's own files has changed."""
        self._change((7,))

    def move_package(self) -> None:
        """A commit whose lockfile has one package at another version."""
        move = _move_in_uv_lock if self.name == "python" else _move_in_package_lock
        move(self.repository)
        self.commit()

    def commit(self) -> None:
        """What stands in the work tree is the newest commit."""
        for arguments in (("add", "--all"), ("commit", "--quiet", "--message=Change")):
            subprocess.run((*_GIT, *arguments), cwd=self.repository, check=True)

    def _change(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.module(number).write_text(self._content(uuid.uuid4().hex))
        self.commit()

    def _content(self, mark: str) -> str:
        python = self.name == "python"
        function = _PYTHON_FUNCTION if python else _NODE_FUNCTION
        head = f'"""Orders."""\n\nMARK = "{mark}"\n' if python else f"exports.mark = '{mark}'\n"
        return head + "".join(function.format(number=number) for number in range(_FUNCTIONS))


def make_sample(name: str, folder: Path) -> Sample:
    """The app, committed once, in the folder, which is made."""
    sample = Sample(name, folder)
    shutil.copytree(_APPS / name, folder)
    for path in folder.glob("moved-package.*"):
        path.unlink()
    sample.modules.mkdir()
    subprocess.run(("git", "init", "--quiet", "--initial-branch=main"), cwd=folder, check=True)
    sample.change_all()
    return sample


def _move_in_uv_lock(repository: Path) -> None:
    block = (_APPS / "python" / "moved-package.toml").read_text()
    name = block.splitlines()[1]
    lock = repository / "uv.lock"
    parts = re.split(r"\n(?=\[\[package\]\]\n)", lock.read_text())
    lock.write_text("\n".join(block if name in part.splitlines()[:2] else part for part in parts))


def _move_in_package_lock(repository: Path) -> None:
    lock = repository / "package-lock.json"
    document = json.loads(lock.read_text())
    document["packages"].update(json.loads((_APPS / "node" / "moved-package.json").read_text()))
    lock.write_text(json.dumps(document, indent=2) + "\n")

"""The points are all there is: what strace sees a command do to its home, the library has counted."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from support.points import Role, can_compile
from support.toolchains import needs
from support.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains"),
    needs("strace"),
]

CALLS = {
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "syncfs": "syncfs",
    "pwrite64": "pwrite",
    "ftruncate": "ftruncate",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rmdir": "rmdir",
}
_LINE = re.compile(r"[0-9]+ +(\w+)\((.*)")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("points"))
    yield made
    made.close()


@pytest.mark.parametrize("arguments", [("config", "set", "GREETING=c"), ("prune", "--keep", "1")])
def test_nothing_that_strace_sees_is_missed(world: World, arguments: tuple[str, ...]) -> None:
    world.begin()
    world.points.arm(Role.COMMAND)
    told = world.folder / "strace"
    argv = ("strace", "-f", "-qq", "-y", "-o", told, "-e", f"trace={','.join(CALLS)}", sys.executable, "-m", "trivet")
    environment = world.pointed.environment
    done = subprocess.run(
        (*argv, *arguments), cwd=world.pointed.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seen: Counter[str] = Counter()
    for line in told.read_text().splitlines():
        match = _LINE.match(line)
        if match and _is_below(str(world.home), match[2]):
            seen[CALLS[match[1]]] += 1
    counted = Counter(
        point.call
        for point in world.points.passed()
        if point.call in CALLS.values() and not point.what.startswith("/sys/fs/cgroup/")
    )
    assert counted == seen
    assert sum(seen.values()) > 20


def _is_below(home: str, arguments: str) -> bool:
    """Whether what is changed (the last path named; of a call on an open file, that) lies below the home."""
    paths = re.findall(r'[<"](/[^>"]*)[>"]', arguments)
    return any(path.startswith((f"{home}/", home)) for path in paths)

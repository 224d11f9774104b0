"""Nothing is started from a build that is not what was built any more; what runs meanwhile runs on."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet, eventually, fetch
from support.repository import Repository

PYTHON = "import os, pathlib; print(pathlib.Path('server.py').stat().st_size)"


def _layer(trivet: Trivet) -> Path:
    """The folder of the running build's only layer."""
    (build,) = trivet.run("builds", "--json").json()
    return trivet.home / "layers" / str(build["layers"][0]["digest"])


def _alter(layer: Path, name: str = "server.py") -> None:
    path = layer / name
    path.chmod(0o644)
    content = path.read_text()
    path.unlink()  # a new inode: the object in the store stays what it is
    path.write_text(content.replace("v1", "evil"))


def _pids(trivet: Trivet) -> list[int]:
    return [process["pid"] for process in trivet.run("ps", "--json").json()]


@pytest.fixture
def altered(trivet: Trivet, repository: Repository) -> Path:
    """A layer of a running deploy in which one file was altered."""
    repository.commit(shop())
    assert trivet.run("deploy").status == 0
    layer = _layer(trivet)
    _alter(layer)
    return layer


@pytest.mark.parametrize(
    "command",
    [
        ("deploy",),
        ("config", "set", "GREETING=hello"),
        ("promote", "production", "staging"),
        ("restart",),
        ("restart", "worker.1"),
        ("scale", "worker=2"),
        ("run", "python3", "-c", PYTHON),
    ],
    ids=" ".join,
)
def test_nothing_is_started_from_an_altered_layer(trivet: Trivet, altered: Path, command: tuple[str, ...]) -> None:
    before = _pids(trivet)
    releases = trivet.run("releases", "--json").out
    done = trivet.run(*command)
    (build,) = trivet.run("builds", "--json").json()
    assert done.out == ""
    assert done.err.splitlines()[-2:] == [
        (
            f"error: Nothing was started from the build {build['id']}: "
            f"the layer 'app' ({altered.name[:12]}) was altered after it was built: 'server.py'."
        ),
        (
            f"hint:  What runs was not touched. Move {altered} away and make it anew: trivet deploy "
            f"{build['source']['commit'][:8]}. `trivet builds verify` names all that was altered."
        ),
    ]
    assert done.status == 40
    assert _pids(trivet) == before
    assert trivet.run("releases", "--json").out == releases


def test_a_rollback_to_an_altered_build_is_refused(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop())
    trivet.run("deploy")
    layer = _layer(trivet)
    repository.commit(shop("v2"))
    url = trivet.run("deploy", "--json").json()["address"]
    _alter(layer)
    done = trivet.run("rollback", "--yes")
    assert done.status == 40
    assert "was altered after it was built: 'server.py'." in done.err
    assert fetch(url) == (200, "v2 - v2\n")


def test_a_stopped_deploy_with_an_altered_layer_is_not_started(trivet: Trivet, altered: Path) -> None:
    assert trivet.run("stop").status == 0
    done = trivet.run("start")
    assert done.status == 40
    assert f"the layer 'app' ({altered.name[:12]}) was altered after it was built: 'server.py'." in done.err
    assert _pids(trivet) == []


def test_after_a_reboot_all_deploys_come_up_but_the_altered_one(
    trivet: Trivet, repository: Repository, altered: Path
) -> None:
    repository.commit({**shop("v2"), "trivet.toml": 'app = "other"\n'})
    assert trivet.run("deploy").status == 0
    assert trivet.run("down").status == 0
    done = trivet.run("up")
    assert done.status == 40
    assert done.out == "up: other/production (1)\n"
    (build,) = trivet.run("builds", "-a", "shop", "--json").json()
    assert done.err.splitlines() == [
        (
            "note     shop/production: what still runs of it runs on, and nothing is started: its build is not what was built; "
            "`trivet builds verify` names what was altered."
        ),
        (
            f"error: shop/production was not started. Nothing was started from the build {build['id']}: "
            f"the layer 'app' ({altered.name[:12]}) was altered after it was built: 'server.py'."
        ),
        (
            f"hint:  What runs was not touched. Move {altered} away and make it anew: trivet deploy "
            f"{build['source']['commit'][:8]}. `trivet builds verify` names all that was altered."
        ),
    ]


def test_an_altered_layer_that_is_moved_away_is_built_anew(trivet: Trivet, altered: Path) -> None:
    altered.rename(altered.with_name("bad"))
    released = trivet.run("deploy", "--json").json()
    assert fetch(released["address"]) == (200, "v1 - v2\n")
    assert trivet.run("restart").status == 0


def test_a_bundle_that_leads_elsewhere_is_not_started(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    repository.commit(shop())
    trivet.run("deploy")
    (build,) = trivet.run("builds", "--json").json()
    link = trivet.home / "apps" / "shop" / "builds" / build["id"] / "bundle" / "app"
    shutil.copytree(link.resolve(), tmp_path / "elsewhere")
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere")
    done = trivet.run("restart")
    assert done.status == 40
    assert f"{link} does not lead to the layer 'app'." in done.err


def test_a_missing_layer_is_told(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop())
    trivet.run("deploy")
    trivet.run("stop")
    layer = _layer(trivet)
    layer.rename(layer.with_name("away"))
    done = trivet.run("start")
    assert done.status == 40
    assert f"the layer 'app' ({layer.name[:12]}) is missing from the store." in done.err


def test_the_supervisor_starts_again_what_crashed_without_looking(trivet: Trivet, altered: Path) -> None:
    """The kernel keeps the code of what runs as it is; only a person's commands look."""
    assert altered.is_dir()
    web = trivet.pids()["web.1"]
    os.kill(web, signal.SIGKILL)
    eventually(lambda: trivet.pids().get("web.1") not in (None, web), what="a new process")

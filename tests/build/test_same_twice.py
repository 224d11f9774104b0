"""The same commit is the same build: in another folder, another home, on another day, under another umask."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.building import APP, Builder, Recorder
from support.repository import Repository
from trivet.build import BuildRequest, check_build, list_builds
from trivet.build.scratch import sweep
from trivet.errors import BuildError
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.checked import Checked, Difference
from trivet.model.home import Home

PROCFILE = {"Procfile": "web: python3 -m http.server $PORT\n"}


def _commands(*commands: str) -> dict[str, str | None]:
    listed = ", ".join(f"'{command}'" for command in commands)
    return {**PROCFILE, "trivet.toml": f"[build]\ncommands = [{listed}]\n"}


def _check(builder: Builder, told: Recorder | None = None) -> Checked:
    request = BuildRequest(builder.home, APP, builder.repository.path, "HEAD", caller=builder.caller)
    return check_build(request, told or Recorder())


@pytest.fixture
def other_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def _elsewhere(builder: Builder, folder: Path) -> Builder:
    """Another home, and another clone of the repository with files of another time."""
    folder.mkdir()
    repository = Repository(folder / "clone")
    repository.git("pull", "--quiet", str(builder.repository.path), "main")
    for path in repository.path.rglob("*"):
        if ".git" not in path.parts:
            os.utime(path, (1, 1))
    return Builder(Home(folder / "another" / "home"), repository)


def test_modes_and_times_of_who_builds_do_not_matter(builder: Builder, tmp_path: Path, other_umask: None) -> None:
    builder.repository.commit(
        _commands("mkdir made", "echo a > made/a", "touch -d 2001-01-01 made/a", "ln -s a made/b")
    )
    os.umask(0o022)
    one = builder.build().build
    os.umask(0o077)
    two = _elsewhere(builder, tmp_path / "elsewhere").build().build
    assert (one.id, one.layers) == (two.id, two.layers)


@pytest.mark.slow
@pytest.mark.fetches
def test_wheels_a_source_distribution_and_bytecode_are_the_same_elsewhere(
    builder: Builder, tmp_path: Path, other_umask: None
) -> None:
    """docopt is published as a source distribution only, markupsafe as wheels with a compiled part."""
    os.umask(0o022)
    one = builder.commit(PYTHON_APP).build
    assert [layer.name for layer in one.layers] == ["dependencies", "app"]
    assert list((builder.bundle(one) / "dependencies").glob("lib/*/site-packages/__pycache__/docopt.*.pyc"))
    assert list((builder.bundle(one) / "dependencies").glob("lib/*/site-packages/markupsafe/*.so"))
    assert list((builder.bundle(one) / "app").glob("__pycache__/app.*.pyc"))
    os.umask(0o077)
    two = _elsewhere(builder, tmp_path / "elsewhere").build().build
    assert (one.id, one.layers) == (two.id, two.layers)
    sboms = [
        builder.home.build(APP, one.id),
        tmp_path / "elsewhere" / "another" / "home" / "apps" / APP / "builds" / two.id,
    ]
    first, second = ((folder / BuildDocument.SBOM).read_text() for folder in sboms)
    assert first == second


@pytest.mark.slow
@pytest.mark.fetches
def test_a_python_app_that_is_checked_is_the_same(builder: Builder) -> None:
    build = builder.commit(PYTHON_APP).build
    told = Recorder()
    assert _check(builder, told) == Checked(build, ())
    assert "dependencies: unchanged" not in told.steps


PYTHON_APP: dict[str, str | None] = {
    "requirements.txt": "docopt==0.6.2\nmarkupsafe==3.0.2\n",
    "app.py": "import docopt, markupsafe\nNAMES = {'a', 'b', 'c'}\n",
    "Procfile": "web: python app.py\n",
    "trivet.toml": '[build]\nsource_distributions = ["docopt"]\n',
}


def test_a_build_that_is_checked_is_made_from_nothing_and_nothing_of_it_is_kept(builder: Builder) -> None:
    build = builder.commit(_commands("ls -A $TMPDIR > made")).build
    before = _snapshot(builder.home)
    told = Recorder()
    assert _check(builder, told) == Checked(build, ())
    assert told.steps == [f"exporting {build.source.short} Change", "running ls -A $TMPDIR > made"]
    assert _snapshot(builder.home) == before
    assert list_builds(builder.home, APP) == (build,)


def _snapshot(home: Home) -> set[str]:
    return {
        str(path)
        for folder in ("layers", "objects", "cache", "apps", "scratch")
        for path in (home.root / folder).rglob("*")
    }


def test_what_differs_is_named_by_file(builder: Builder) -> None:
    """Each of these looks at what no two builds have in common: the place where it runs, or chance."""
    builder.commit(
        _commands(
            "pwd > place",
            "mkdir random.$(cat /proc/sys/kernel/random/uuid)",
            "touch steady",
            "ln -s $PWD link",
            "echo x > program; case $PWD in *home-of-its-own*) chmod 755 program;; esac",
            "case $PWD in *home-of-its-own*) mkdir kind;; *) touch kind;; esac",
        )
    )
    found = _check(builder).differences
    assert {each for each in found if not each.path.startswith("random.")} == {
        Difference("app", "place", "content"),
        Difference("app", "link", "content"),
        Difference("app", "program", "mode"),
        Difference("app", "kind", "kind"),
    }
    assert {each.what for each in found if each.path.startswith("random.")} == {"missing", "added"}


def test_a_commit_that_was_never_built_has_nothing_to_compare_with(builder: Builder) -> None:
    commit = builder.repository.commit(PROCFILE)
    with pytest.raises(BuildError) as caught:
        _check(builder)
    assert caught.value.message == (
        f"There is no build of {commit[:8]} to compare with, made with today's tools and still whole."
    )
    assert caught.value.hint == f"Make it first: trivet build {commit[:8]}"


def test_a_build_that_was_altered_is_nothing_to_compare_with(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    _alter(builder.home, build)
    with pytest.raises(BuildError, match=f"^The build {build.id} was altered, so there is nothing to compare with: "):
        _check(builder)


def _alter(home: Home, build: Build) -> None:
    path = home.layers / build.layers[0].digest / "Procfile"
    path.chmod(0o644)
    path.write_text("web: evil\n")


def test_a_check_that_was_killed_is_swept_with_its_inner_home(builder: Builder) -> None:
    builder.commit(PROCFILE)
    inner = builder.home.scratch / "1.dead" / "home-of-its-own" / "scratch"
    folder = inner / "2.dead"
    folder.mkdir(parents=True)
    (inner / "2.dead.lock").touch()
    (builder.home.scratch / "1.dead.lock").touch()
    with subprocess.Popen(
        ("sleep", "600"), env={"HOME": str(folder / "work" / "home")}, start_new_session=True
    ) as daemon:
        sweep(builder.home.scratch)
        assert daemon.wait(60) != 0
    assert {path.name for path in builder.home.scratch.iterdir()} == {"gate"}


def test_every_file_has_the_time_of_its_commit(builder: Builder) -> None:
    """Whatever day it is built: archives and servers that look at times see the same."""
    build = builder.commit(_commands("touch -d 2001-01-01 old", "touch new")).build
    times = {path.stat().st_mtime for path in (builder.home.layers / build.layers[0].digest).rglob("*")}
    assert times == {float(builder.repository.git("log", "-1", "--format=%ct"))}

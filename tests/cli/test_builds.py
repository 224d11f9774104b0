"""What is said of builds: what they consist of, whether they are as built, whether they come out the same again."""

import json
import re
from pathlib import Path

import pytest

from support.command import Trivet
from support.repository import Repository

APP = {"Procfile": "web: python3 -m http.server $PORT\n", "a": "1\n"}


@pytest.fixture
def build(trivet: Trivet, repository: Repository) -> str:
    """The id of a build."""
    repository.commit({**APP, "trivet.toml": "[build]\ncommands = ['echo made > made']\n"})
    return trivet.ok("build").out.strip()


def _folder(trivet: Trivet, build: str) -> Path:
    return trivet.home / "apps" / "shop" / "builds" / build


def _layer(trivet: Trivet, build: str) -> Path:
    return (_folder(trivet, build) / "bundle" / "app").resolve()


def _write(path: Path, content: str) -> None:
    path.parent.chmod(0o755)
    if path.exists():
        path.chmod(0o644)
    path.write_text(content)


def test_a_build_is_shown_with_sizes_and_the_time_of_each_step(trivet: Trivet, build: str) -> None:
    shown = trivet.ok("builds", "show", build).out
    assert re.search(r"^layers +app  [0-9a-f]{12}  \d+ B$", shown, re.M)
    assert re.search(r"^steps +\d+\.\d\d s  exporting [0-9a-f]{8} Change$", shown, re.M)
    assert re.search(r"^ +\d+\.\d\d s  compile: running echo made > made$", shown, re.M)
    steps = trivet.ok("builds", "show", build, "--json").json()["steps"]
    assert [step["phase"] for step in steps] == [None, "compile"]


def test_the_documents_of_a_build_go_to_standard_output_as_they_are(trivet: Trivet, build: str) -> None:
    for option, name in (("--sbom", "sbom.json"), ("--provenance", "provenance.json"), ("--log", "build.log")):
        done = trivet.ok("builds", "show", build, option)
        assert done.out == (_folder(trivet, build) / name).read_text()
        assert done.err == ""


def test_builds_that_are_as_built_are_said_to_be(trivet: Trivet, repository: Repository, build: str) -> None:
    repository.commit({"a": "2\n"})
    other = trivet.ok("build").out.strip()
    assert trivet.ok("builds", "verify").out == f"{other}  as built\n{build}  as built\n"
    assert trivet.ok("builds", "verify", build).out == f"{build}  as built\n"
    (found,) = trivet.ok("builds", "verify", build, "--json").json()
    assert (found["build"], found["good"], found["faults"], found["signer"]) == (build, True, [], None)


def test_whatever_was_altered_is_named(trivet: Trivet, build: str) -> None:
    layer, folder = _layer(trivet, build), _folder(trivet, build)
    _write(layer / "a", "evil\n")
    _write(layer / "new", "new\n")
    (folder / "build.log").write_text("nothing to see\n")
    (folder / "sbom.json").unlink()
    done = trivet.run("builds", "verify")
    assert done.status == 20
    name = f"the layer 'app' ({layer.name[:12]})"
    assert done.out.splitlines() == [
        f"{build}  altered  {name} was altered after it was built: 'a', 'new'",
        f"                       {layer}",
        f"{build}  altered  sbom.json is missing",
        f"                       {folder / 'sbom.json'}",
        f"{build}  altered  build.log was altered after it was written",
        f"                       {folder / 'build.log'}",
    ]
    assert done.err == (
        f"error: 1 of 1 builds is not as built or signed: {build}.\n"
        "hint:  Move away the paths that are named, then build the commit again: trivet build COMMIT\n"
    )
    (found,) = json.loads(trivet.run("builds", "verify", "--json").out)
    assert found["good"] is False
    assert found["faults"][0] == {
        "part": "app",
        "files": ["a", "new"],
        "reason": f"{name} was altered after it was built: 'a', 'new'",
        "path": str(layer),
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "provenance.json is missing"),
        ("{}", "provenance.json cannot be read: it is no in-toto statement of SLSA provenance"),
        ("{", "provenance.json cannot be read: it is not JSON"),
    ],
)
def test_a_provenance_that_says_nothing_is_told(trivet: Trivet, build: str, content: str | None, told: str) -> None:
    path = _folder(trivet, build) / "provenance.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    done = trivet.run("builds", "verify", build)
    assert done.status == 20
    assert done.out.startswith(f"{build}  altered  {told}")


def test_process_types_that_were_altered_are_found(trivet: Trivet, build: str) -> None:
    path = _folder(trivet, build) / "build.json"
    path.write_text(path.read_text().replace("http.server", "evil.server"))
    done = trivet.run("builds", "verify", build)
    assert done.status == 20
    assert f"{build}  altered  build.json is not what provenance.json says was built" in done.out


def test_an_unknown_build_and_a_missing_file_of_signers_are_errors(trivet: Trivet, build: str) -> None:
    done = trivet.run("builds", "verify", "0123456789ab")
    assert (done.status, done.out) == (20, "")
    assert done.err.startswith("error: shop has no build '0123456789ab'.\n")
    done = trivet.run("builds", "verify", build, "--signers", "nowhere")
    assert done.status == 2
    assert done.err == (
        "error: There is no file nowhere.\nhint:  Name a file of allowed signers; ssh-keygen(1) says what is in it.\n"
    )


def test_a_build_that_comes_out_the_same_is_said_to(trivet: Trivet, build: str) -> None:
    done = trivet.ok("build", "--check", "--quiet")
    assert done.out == f"{build}: the same again, all 4 files of app\n"
    assert trivet.ok("build", "--check", "--json", "--quiet").json() == {
        "build": build,
        "same": True,
        "differences": [],
    }
    assert [each["id"] for each in trivet.ok("builds", "--json").json()] == [build]


def test_a_build_that_comes_out_otherwise_is_told_with_its_files(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**APP, "trivet.toml": "[build]\ncommands = ['mkdir out; date +%N > out/stamp']\n"})
    build = trivet.ok("build").out.strip()
    done = trivet.run("build", "--check", "--quiet")
    assert done.status == 20
    assert done.out.splitlines() == ["LAYER  PATH       DIFFERS", "app    out/stamp  content"]
    assert done.err == (
        f"error: Built again from nothing, {build} is another build: one of its paths differs.\n"
        "hint:  docs/explanation/the-same-twice.md says what usually makes a build differ. The build on record is unchanged.\n"
    )
    found = json.loads(trivet.run("build", "--check", "--json", "--quiet").out)
    assert found == {
        "build": build,
        "same": False,
        "differences": [{"layer": "app", "path": "out/stamp", "what": "content"}],
    }

"""Docker: what a Dockerfile tells before it is built, and images really built, by a dockerd of the tests' own."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.building import Builder
from support.command import Trivet
from support.engine import Engine, engine_in
from support.planning import error_of, plan_of, processes_of
from support.repository import Repository
from trivet.build import verify_layer
from trivet.errors import DetectionError, StepFailed
from trivet.model.home import Home

DOCKERFILE = """FROM base
ARG GREETING
ENV PATH=/bin
WORKDIR /srv
COPY . .
RUN echo "$GREETING $SECRET" > made.txt
CMD ["cat", "made.txt"]
"""
ASKED = "[build]\nbuilder = 'docker'\n"


@pytest.mark.parametrize(
    ("dockerfile", "web"),
    [
        ('CMD ["./server", "--port", "$PORT"]', "./server --port '$PORT'"),
        ("CMD exec ./server --port $PORT", "exec ./server --port $PORT"),
        ('ENTRYPOINT ["./server"]\nCMD ["--fast"]', "./server --fast"),
        ('CMD ["--fast"]\nENTRYPOINT ["./server"]', "./server"),
        ('ENTRYPOINT exec ./server\nCMD ["--fast"]', "exec ./server"),
        ('CMD ["old"]\nFROM base AS second\ncmd \\\n # why\n  ["new", \\\n "er"]', "new er"),
    ],
)
def test_the_web_process_is_what_the_last_stage_starts(dockerfile: str, web: str) -> None:
    assert processes_of({"Dockerfile": f"FROM base\n{dockerfile}\n"}) == {"web": web}


def test_a_dockerfile_that_starts_nothing_needs_a_procfile() -> None:
    assert error_of({"Dockerfile": 'FROM base\nCMD ["x"]\nFROM other\n'}, DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: Dockerfile names neither ENTRYPOINT nor CMD, "
            "and what its base image starts is not looked at."
        ),
        (
            'Add a line like `CMD ["./server"]` to Dockerfile, or commit a file called Procfile with the commands '
            "of its process types."
        ),
    )


@pytest.mark.parametrize(
    ("files", "builder"),
    [
        ({"requirements.txt": "", "Procfile": "web: x"}, "python"),
        ({"index.html": ""}, "static"),
        ({"Procfile": "web: x"}, "procfile"),
        ({"requirements.txt": "", "trivet.toml": ASKED}, "docker"),
        ({}, "docker"),
    ],
)
def test_a_dockerfile_is_used_if_nothing_else_is_recognised_or_if_it_is_asked_for(
    files: dict[str, str], builder: str
) -> None:
    assert plan_of({"Dockerfile": 'FROM base\nCMD ["x"]\n', **files}).builder == builder


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        (
            {"trivet.toml": ASKED},
            "trivet.toml asks for the builder docker, but there is no Dockerfile.",
            "Commit a file called Dockerfile, or remove `builder` from trivet.toml.",
        ),
        (
            {"Containerfile": "FROM base\n", "trivet.toml": "[build]\ncommands = ['make']\n"},
            "trivet.toml has [build] commands, and an image is made by its Dockerfile alone.",
            "Move them into Containerfile, as RUN lines.",
        ),
    ],
)
def test_what_cannot_be_an_image_is_an_error(files: dict[str, str], message: str, hint: str) -> None:
    assert error_of(files, DetectionError) == (message, hint)


def test_an_engine_that_is_not_there_is_told_with_where_it_is_looked_for(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    builder = Builder(home, repository, caller={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(StepFailed) as caught:
        builder.commit({"Dockerfile": DOCKERFILE})
    assert caught.value.message == "Building the image of Dockerfile ended with exit status 1."
    assert caught.value.hint == (
        "The engine's words say which line it is about. Is it there? `docker info` tells; DOCKER_HOST says where it is. "
        "`trivet builds log failed` shows all the output."
    )
    assert any(f"{tmp_path}/none.sock" in line for line in caught.value.detail)


def test_a_machine_without_any_engine_is_told_what_to_install() -> None:
    hint = "Install one of docker, podman and buildah, for example with `apt-get install docker.io`."
    assert plan_of({"Dockerfile": DOCKERFILE}).tools[0].hint == hint


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A dockerd for the tests of this module."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a dockerd; CI runs as root")
    with engine_in(tmp_path_factory.mktemp("docker")) as running:
        yield running


def _blob(layout: Path, descriptor: dict[str, Any]) -> Path:
    return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")


@pytest.mark.slow
def test_an_image_is_stored_as_an_oci_layout(home: Home, repository: Repository, engine: Engine) -> None:
    builder = Builder(home, repository, caller={**engine.caller, "SECRET": "canary", "GREETING": "not this"})
    files = {"Dockerfile": DOCKERFILE, "trivet.toml": f"{ASKED}[build.environment]\nGREETING = 'hello {{x}}'\n"}
    build = builder.commit({**files, "data.txt": "1"}).build
    assert (build.builder, build.is_image, [layer.name for layer in build.layers]) == ("docker", True, ["image"])
    assert [process.command for process in build.processes] == ["cat made.txt"]
    assert set(builder.told.phases) == {None, "engine", "compile"}
    layout = builder.bundle(build) / "image"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(_blob(layout, described).read_text())
    config = json.loads(_blob(layout, manifest["config"]).read_text())
    assert config["config"]["Cmd"] == ["cat", "made.txt"]
    blobs = [manifest["config"], *manifest["layers"]]
    assert [_blob(layout, each).stat().st_size for each in blobs] == [each["size"] for each in blobs]
    for path in (layout / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert b"canary" not in path.read_bytes()
    with tarfile.open(_blob(layout, manifest["layers"][-1])) as top:
        made = top.extractfile("srv/made.txt")
        assert made is not None
        assert made.read() == b"hello {x} \n"
    for layer in build.layers:
        verify_layer(home, layer)


@pytest.mark.slow
def test_layers_that_did_not_change_are_stored_once(home: Home, repository: Repository, engine: Engine) -> None:
    builder = Builder(home, repository, caller=engine.caller)
    one = builder.commit({"Dockerfile": DOCKERFILE, "trivet.toml": ASKED, "data.txt": "1"}).build
    two = builder.commit({"data.txt": "2"}).build
    first, second = ({path.name: path.stat().st_ino for path in _blobs(builder, each)} for each in (one, two))
    assert one.layers != two.layers
    base = max(_blobs(builder, one), key=lambda path: path.stat().st_size).name
    assert base in second
    assert first.keys() != second.keys()


def _blobs(builder: Builder, build: Any) -> list[Path]:
    return list((builder.bundle(build) / "image" / "blobs" / "sha256").iterdir())


@pytest.mark.slow
def test_a_line_that_fails_is_told_in_the_engines_words(home: Home, repository: Repository, engine: Engine) -> None:
    builder = Builder(home, repository, caller=engine.caller)
    with pytest.raises(StepFailed) as caught:
        builder.commit(
            {"Dockerfile": "FROM base\nENV PATH=/bin\nRUN cat nothing\n", "Procfile": "x: y", "trivet.toml": ASKED}
        )
    assert caught.value.message == "Building the image of Dockerfile ended with exit status 1."
    assert any("cat nothing" in line for line in caught.value.detail)


@pytest.mark.slow
def test_an_image_is_built_and_shown_but_not_deployed(trivet: Trivet, repository: Repository, engine: Engine) -> None:
    trivet.environment = {**trivet.environment, "DOCKER_HOST": engine.caller["DOCKER_HOST"]}
    repository.commit({"Dockerfile": DOCKERFILE, "trivet.toml": "app = 'shop'\n"})
    trivet.ok("build")
    (built,) = trivet.ok("builds", "--json").json()
    done = trivet.run("deploy")
    assert done.status == 50
    assert done.err.endswith(
        f"error: The build {built['id']} is a container image, and this machine's engine starts processes, not images.\n"
        "hint:  The image is kept: docs/how-to/docker-images.md says how to take it to an engine. To deploy the app here, "
        'have it built otherwise: `builder = "procfile"` in trivet.toml, [build], for example.\n'
    )
    assert trivet.ok("apps", "--json").json() == []

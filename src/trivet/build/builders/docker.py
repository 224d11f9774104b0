"""Docker: an image from a Dockerfile, made by docker, podman or buildah, and stored as an OCI image layout.

The engine works outside of the build's walls: what a Dockerfile runs, it runs in a container with the network. It is given
the source and `[build.environment]`, as build arguments, and nothing else: no config, and none of the person's variables but
those that say where the engine is. The image is one layer of the build, its blobs content-addressed as all other files are.
"""

from importlib.resources import files

from trivet.build.dockerfile import default_command
from trivet.errors import DetectionError
from trivet.model.build import IMAGE_LAYER
from trivet.model.build_plan import (
    BUNDLE,
    SCRATCH,
    SOURCE,
    BuildPlan,
    LayerPlan,
    NoDefault,
    Phase,
    SourceTree,
    Step,
    Tool,
    literal,
)
from trivet.model.settings import Settings

NAME = "docker"
LOOKED_FOR = "Dockerfile (an image; nothing else recognised)"

_FILES = ("Dockerfile", "Containerfile")
_ENGINE = "{docker}"
_ID = f"{SCRATCH}/image.id"
_ARCHIVE = f"{SCRATCH}/image.tar"
_LABEL = "org.trivet.build"
_FIND = "for name in docker podman buildah; do command -v $name && exit; done; exit 1"
_REACHING = (
    *("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "DOCKER_BUILDKIT"),
    *("CONTAINER_HOST", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "STORAGE_DRIVER"),
)
_SAVE = """id=$(cat "$1") && case "${0##*/}" in
buildah) exec "$0" push --quiet "$id" "docker-archive:$2" ;;
*) exec "$0" save --output "$2" "$id" ;;
esac"""
# What earlier builds left without a name; the last day's is kept, since the next build starts from it.
_PRUNE = """case "${0##*/}" in
buildah) ;;
*) exec "$0" image prune --force --filter "label=$1" --filter until=24h ;;
esac"""


def recognise(tree: SourceTree) -> bool:
    """Whether there is a Dockerfile."""
    return any(name in tree.files for name in _FILES)


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """One layer: the image. Raises: DetectionError."""
    name = next((name for name in _FILES if name in tree.files), None)
    if name is None:
        raise DetectionError(
            "trivet.toml asks for the builder docker, but there is no Dockerfile.",
            hint="Commit a file called Dockerfile, or remove `builder` from trivet.toml.",
        )
    if settings.build.commands:
        raise DetectionError(
            "trivet.toml has [build] commands, and an image is made by its Dockerfile alone.",
            hint=f"Move them into {name}, as RUN lines.",
        )
    has_procfile = "Procfile" in tree.files
    web = None if has_procfile else default_command(tree.read(name) or "")
    return BuildPlan(
        builder=NAME,
        layers=(LayerPlan(IMAGE_LAYER, _steps(name, settings)),),
        processes={"web": web} if web else {},
        tools=(_tool(), Tool("python3", "Install it, for example with `apt-get install python3`.")),
        no_default=None if web or has_procfile else _no_default(name),
    )


def _tool() -> Tool:
    hint = "Install one of docker, podman and buildah, for example with `apt-get install docker.io`."
    find = Step("finding docker", ("/bin/sh", "-c", _FIND), passes=("PATH",), hint=hint)
    return Tool("docker", hint, (find,))


def _steps(name: str, settings: Settings) -> tuple[Step, ...]:
    declared = settings.build.environment.items()
    arguments = tuple(literal(word) for key, value in declared for word in ("--build-arg", f"{key}={value}"))
    how = ("--file", f"{SOURCE}/{name}", "--iidfile", _ID, "--label", f"{_LABEL}=1", *arguments)
    make = Step(
        f"building the image of {name}",
        (_ENGINE, "build", *how, SOURCE),
        Phase.ENGINE,
        passes=_REACHING,
        hint="The engine's words say which line it is about. Is it there? `docker info` tells; DOCKER_HOST says where it is.",
    )
    save = Step(
        "saving the image", ("/bin/sh", "-c", literal(_SAVE), _ENGINE, _ID, _ARCHIVE), Phase.ENGINE, passes=_REACHING
    )
    unpack = Step(
        "unpacking the image",
        ("{python3}", "-I", "-c", literal(_script()), _ARCHIVE, f"{BUNDLE}/{IMAGE_LAYER}"),
        directory=BUNDLE,
    )
    prune = Step(
        "removing old images", ("/bin/sh", "-c", literal(_PRUNE), _ENGINE, _LABEL), Phase.ENGINE, passes=_REACHING
    )
    return make, save, unpack, prune


def _script() -> str:
    """The program that makes an OCI layout, which comes with this builder."""
    return (files(__package__) / "oci_layout.py").read_text(encoding="utf-8")


def _no_default(name: str) -> NoDefault:
    return NoDefault(
        f"{name} names neither ENTRYPOINT nor CMD, and what its base image starts is not looked at",
        f'Add a line like `CMD ["./server"]` to {name}, or commit a file called Procfile with the commands '
        "of its process types.",
    )

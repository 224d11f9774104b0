"""Wheels built from source: what they need is fetched first, then they are built without the network.

A package's own build code runs in the second half only, and then it sees neither the network nor the app's cache. It is
built in the same place every time, seen from the scratch folder, and compilers are told to write paths as seen from there.
What building needs has seldom a fixed version: the newest of the day of the commit is taken, so that a later day takes
the same.
"""

import json
from collections.abc import Mapping
from importlib.resources import files

from trivet.build.packages import Archive, LocalPackage
from trivet.build.steps import UV_ENVIRONMENT, VENV, declared, find_python
from trivet.model.build_plan import BUNDLE, PYTHON, SCRATCH, SOURCE, UV, Phase, Step, Tool, literal
from trivet.model.settings import Settings

PACKAGES = f"{BUNDLE}/packages"

_ARCHIVES = f"{SCRATCH}/archives"
_OWN = f"{SCRATCH}/own"
_FETCHER = "{python_to_fetch}"
_INDEX = "https://pypi.org/simple"

_OFFLINE: Mapping[str, str] = {
    **{name: value for name, value in UV_ENVIRONMENT.items() if name != "UV_CACHE_DIR"},
    "UV_NO_CACHE": "1",  # what a package's code could write into is not to be the app's cache
    "UV_OFFLINE": "1",
    "CFLAGS": f"-ffile-prefix-map={SCRATCH}=.",
    "CXXFLAGS": f"-ffile-prefix-map={SCRATCH}=.",
    "PYTHONHASHSEED": "0",
}

_BACKEND = """set -eu
if [ -z "$UV_EXCLUDE_NEWER" ]; then
    UV_EXCLUDE_NEWER=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
fi
make() {{
    "$1" venv --quiet --no-project --no-config --python "$2" "$3/venv"
    "$1" pip install --no-build --python "$3/venv/bin/python" --requirement "$3/requires.txt"
}}
"""
_BACKENDS = _BACKEND + 'for folder in "$3"/*/; do make "$1" "$2" "$folder"; done'
_OWN_BACKEND = _BACKEND + 'mkdir -p "$3"; folder=$3; printf "%s\\n" "$4" > "$3/requires.txt"; make "$1" "$2" "$folder"'

_BUILD = """set -eu
build() {{
    PATH="$2/venv/bin:$PATH" "$1" build --wheel --no-build-isolation --no-config --python "$2/venv/bin/python" \
        --out-dir "$4" "$3"
}}
"""
_BUILD_ARCHIVES = _BUILD + 'for folder in "$2"/*/; do build "$1" "$folder" "$folder/tree" "$3"; done'
_BUILD_OWN = _BUILD + 'build "$1" "$2" "$3" "$4"'

_INSTALL = '"$1" pip install --no-deps --no-config --no-index --python "$2" "$3"/*.whl'
# A script is to start the Python that stands first on PATH, which is the bundle's. uv writes one that looks for it from
# the script's own place, in three lines, which a shell and Python both can read.
_INSTALL_OWN = r"""set -eu
"$1" pip install --no-deps --no-config --no-index --target "$4" --python "$2" "$3"/*.whl
rm -f "$4/.lock"
for script in "$4"/bin/*; do
    if [ -f "$script" ]; then
        sed -i -e '1s|^#!.*python.*$|#!/usr/bin/env python|' \
            -e '1{{/^#!\/bin\/sh$/{{N;N;s|.*|#!/usr/bin/env python|}}}}' "$script"
    fi
done
"""

_NEEDS = "What building needs must have wheels on the index; uv's words say what is missing."
_WITHOUT_NETWORK = (
    "It is built without the network: what building needs stands in [build-system] requires of its pyproject.toml, "
    "or in [tool.uv.extra-build-dependencies] of the app's."
)


def tools_for(archives: tuple[Archive, ...]) -> tuple[Tool, ...]:
    """What fetching the archives needs beside uv and the app's Python."""
    if not archives:
        return ()
    hint = "Reading source distributions needs Python 3.11 or newer, for example from `uv python install`."
    return (Tool("python_to_fetch", hint, (find_python("--no-config", "--no-project", ">=3.11", hint=hint),)),)


def archive_steps(archives: tuple[Archive, ...], settings: Settings) -> tuple[Step, ...]:
    """The source distributions are installed into the venv."""
    if not archives:
        return ()
    names = ", ".join(archive.name for archive in archives)
    listed = [{"name": a.name, "version": a.version, "url": a.url, "hashes": a.hashes} for a in archives]
    own = declared(settings, Phase.FETCH)
    index = own.get("UV_DEFAULT_INDEX") or own.get("UV_INDEX_URL") or _INDEX
    script = literal((files("trivet.build.builders") / "fetch_archives.py").read_text(encoding="utf-8"))
    return (
        Step(
            f"fetching the source of {names}",
            (_FETCHER, "-I", "-c", script, _ARCHIVES, index, literal(json.dumps(listed))),
            Phase.FETCH,
            directory=SCRATCH,
            hint="The index must be reached, and have the very file that the lockfile names.",
        ),
        _shell(f"fetching what builds {names}", _BACKENDS, (UV, PYTHON, _ARCHIVES), _fetching(settings)),
        Step(
            f"building {names}",
            ("/bin/sh", "-c", _BUILD_ARCHIVES, "sh", UV, _ARCHIVES, f"{_ARCHIVES}.wheels"),
            directory=SCRATCH,
            environment={**declared(settings, Phase.COMPILE), **_OFFLINE},
            hint=_WITHOUT_NETWORK,
        ),
        Step(
            f"installing {names}",
            ("/bin/sh", "-c", _INSTALL, "sh", UV, f"{VENV}/bin/python", f"{_ARCHIVES}.wheels"),
            directory=SCRATCH,
            environment=_OFFLINE,
        ),
    )


def local_steps(packages: tuple[LocalPackage, ...], settings: Settings) -> tuple[Step, ...]:
    """The packages of the source are installed into the layer of their own, without a link to the source.

    All is fetched before any is built: what builds one runs its code, which could leave something for what fetches.
    """
    fetching: list[Step] = []
    building: list[Step] = []
    for package in packages:
        own, source = f"{_OWN}/{package.name}", literal(package.folder)
        folder = f"{SOURCE}/{source}" if source else SOURCE
        requires = literal("\n".join(package.requires))
        fetch = (UV, PYTHON, own, requires)
        fetching.append(_shell(f"fetching what builds {package.name}", _OWN_BACKEND, fetch, _fetching(settings)))
        building.append(
            Step(
                f"building {package.name}",
                ("/bin/sh", "-c", _BUILD_OWN, "sh", UV, own, folder, f"{_OWN}.wheels"),
                environment={**declared(settings, Phase.COMPILE), **_OFFLINE},
                hint=_WITHOUT_NETWORK,
            )
        )
    names = ", ".join(package.name for package in packages)
    install = ("/bin/sh", "-c", _INSTALL_OWN, "sh", UV, f"{VENV}/bin/python", f"{_OWN}.wheels", PACKAGES)
    return (*fetching, *building, Step(f"installing {names}", install, directory=SCRATCH, environment=_OFFLINE))


def _fetching(settings: Settings) -> Mapping[str, str]:
    return {"UV_EXCLUDE_NEWER": "", **declared(settings, Phase.FETCH), **UV_ENVIRONMENT}


def _shell(title: str, script: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Step:
    argv = ("/bin/sh", "-c", script, "sh", *arguments)
    return Step(title, argv, Phase.FETCH, directory=SCRATCH, environment=environment, hint=_NEEDS)

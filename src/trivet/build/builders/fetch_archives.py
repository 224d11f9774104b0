"""Run while fetching: source distributions of packages are unpacked into folders, with what building each needs.

    python fetch_archives.py FOLDER INDEX '[{"name": …, "version": …, "url": …, "hashes": […]}, …]'

Each gets FOLDER/NAME/tree and FOLDER/NAME/requires.txt. No code of a package is run. Standard library alone.
"""

import hashlib
import io
import json
import os
import pathlib
import re
import sys
import tarfile
import tomllib
import urllib.parse
import urllib.request
import zipfile
from typing import TypedDict

LEGACY = ["setuptools>=40.8.0"]
ASKED_FOR_LATER = {"setuptools": ["wheel"], "scikit-build-core": ["cmake", "ninja"], "meson-python": ["ninja"]}
SIMPLE = "application/vnd.pypi.simple.v1+json"
DEADLINE_S = 120


class Archive(TypedDict):
    """A source distribution that the lockfile fixes; without a `url` the index is asked."""

    name: str
    version: str
    url: str
    hashes: list[str]


def fetch(folder: str, index: str, archive: Archive) -> None:
    """The archive is unpacked in its folder. Ends the program if it is not the one that the lockfile names."""
    own = pathlib.Path(folder) / archive["name"]
    url = archive["url"] or find(index, archive)
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        content = answer.read()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    if archive["hashes"] and digest not in archive["hashes"]:
        raise SystemExit(f"{url} is {digest}, and the lockfile says {', '.join(archive['hashes'])}.")
    unpack(url, content, own / "tree")
    write_requires(own)
    print(f"{archive['name']} {archive['version']}: {url.split('#')[0]} ({len(content):,} bytes)", flush=True)


def find(index: str, archive: Archive) -> str:
    """The address of the source distribution: https://packaging.python.org/specifications/simple-repository-api/"""
    address = f"{index.rstrip('/')}/{archive['name']}/"
    request = urllib.request.Request(address, headers={"Accept": SIMPLE})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        files = json.load(answer)["files"]
    name = re.sub(r"[-_.]+", "[-_.]+", archive["name"])
    wanted = re.compile(rf"{name}-{re.escape(archive['version'])}\.(tar\.gz|zip)", re.I)
    for file in files:
        if wanted.fullmatch(file["filename"]):
            return urllib.parse.urljoin(address, str(file["url"]))
    raise SystemExit(f"{address} has no source distribution of {archive['name']} {archive['version']}.")


def unpack(url: str, content: bytes, tree: pathlib.Path) -> None:
    """The files are below the folder, without the one folder that all of them are in; links are left out."""
    if urllib.parse.urlparse(url).path.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for entry in zipped.infolist():
                if not entry.is_dir():
                    write(tree, entry.filename, zipped.read(entry), entry.external_attr >> 16)
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                write(tree, member.name, file.read(), member.mode)


def write(tree: pathlib.Path, name: str, content: bytes, mode: int) -> None:
    """The file is below the folder; what would lead out of it is left out."""
    parts = pathlib.PurePosixPath(name).parts[1:]
    if not parts or ".." in parts or name.startswith("/"):
        return
    path = tree.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if mode & 0o100 else 0o644)


def write_requires(own: pathlib.Path) -> None:
    """What building the tree needs stands beside it."""
    manifest = own / "tree" / "pyproject.toml"
    data = tomllib.loads(manifest.read_text("utf-8")) if manifest.is_file() else {}
    requires = data.get("build-system", {}).get("requires", LEGACY)
    named = [re.sub(r"[-_.]+", "-", text).lower() for text in requires]
    more = [
        tool for name, tools in ASKED_FOR_LATER.items() if any(it.startswith(name) for it in named) for tool in tools
    ]
    (own / "requires.txt").write_text("".join(f"{text}\n" for text in (*requires, *more)))


if __name__ == "__main__":
    os.umask(0o022)
    for each in json.loads(sys.argv[3]):
        fetch(sys.argv[1], sys.argv[2], each)

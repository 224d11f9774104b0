"""An image as `docker save` writes it becomes an OCI image layout: run by the docker builder, with the machine's Python.

Usage: python3 -c TEXT ARCHIVE FOLDER. Newer engines write a layout already, which is taken as it is; older ones a manifest
and a file for each layer. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO

_CHUNK_BYTES = 1 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def main(archive: str, folder: Path) -> None:
    """The folder holds the layout of the archive's only image, and every blob is what its name says."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    with tarfile.open(archive) as image:
        names = image.getnames()
        if "index.json" in names and "oci-layout" in names:
            take_layout(image, folder)
        else:
            make_layout(image, folder)
    for blob in blobs.iterdir():
        with blob.open("rb") as file:
            if hash_of(file) != blob.name:
                sys.exit(f"the blob {blob.name} is not what its name says")


def take_layout(image: tarfile.TarFile, folder: Path) -> None:
    """Only what belongs to a layout: the same archive may hold the older form beside it."""
    for member in image.getmembers():
        name = Path(member.name)
        if member.isfile() and (name.parent == Path("blobs/sha256") or member.name in ("index.json", "oci-layout")):
            with (folder / name).open("wb") as file:
                shutil.copyfileobj(content(image, member.name), file, _CHUNK_BYTES)


def make_layout(image: tarfile.TarFile, folder: Path) -> None:
    """The layout of an archive in the older form."""
    blobs = folder / "blobs" / "sha256"
    (described,) = json.load(content(image, "manifest.json"))
    config = put(_CONFIG, content(image, described["Config"]), blobs)
    layers = [put(_LAYER, content(image, name), blobs) for name in described["Layers"]]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
    with tempfile.TemporaryFile() as file:
        file.write(as_json(manifest))
        file.seek(0)
        index = {"schemaVersion": 2, "manifests": [put(_MANIFEST, file, blobs)]}
    (folder / "index.json").write_bytes(as_json(index))
    (folder / "oci-layout").write_bytes(as_json({"imageLayoutVersion": "1.0.0"}))


def content(image: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive; layers that are the same are links to the first of them."""
    file = image.extractfile(name)
    if file is None:
        sys.exit(f"the archive has no file {name}")
    return file


def put(kind: str, file: IO[bytes], blobs: Path) -> dict[str, object]:
    """The file is a blob. https://github.com/opencontainers/image-spec/blob/main/descriptor.md"""
    with tempfile.NamedTemporaryFile(dir=blobs, delete=False) as blob:
        shutil.copyfileobj(file, blob, _CHUNK_BYTES)
        size = blob.tell()
        blob.seek(0)
        digest = hash_of(blob)
    Path(blob.name).replace(blobs / digest)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def hash_of(file: IO[bytes]) -> str:
    """The sha256 of the file's content."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def as_json(value: object) -> bytes:
    """The same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

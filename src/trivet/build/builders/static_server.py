"""The static file server: copied into the build by the static builder, run there by gunicorn with WhiteNoise beside it.

Stored files carry no time that means anything, so nothing here goes by time: after a rollback a browser that asks "newer
than …?" would be told "no" about a file that is another. A file's tag is made from its content instead.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from wsgiref.headers import Headers

from whitenoise.base import WhiteNoise, scantree  # type: ignore[import-not-found,unused-ignore]

_NEVER_SERVED = ("/Procfile", "/trivet.toml")
_SHOWN_DOTFILES = ".well-known"  # https://www.rfc-editor.org/rfc/rfc8615
_NOT_FOUND = b"<!doctype html><title>Not found</title><h1>Not found</h1><p>There is no such page.</p>\n"

Environ = dict[str, object]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def application() -> "Site":
    """The WSGI application that serves the folder `public` in $STATIC_ROOT, or else all of $STATIC_ROOT.

    It is decided here and not by the builder, since commands of the build may make `public`.
    """
    top = Path(os.environ["STATIC_ROOT"])
    public = top / "public"
    return Site(public if public.is_dir() else top)


class Site(WhiteNoise):  # type: ignore[misc,unused-ignore]
    """Serves a folder: index.html for folders, 404.html where there is nothing; dotfiles and Trivet's files are hidden."""

    def __init__(self, root: Path) -> None:
        self._root = root
        super().__init__(
            self._answer_not_found,
            root=str(root),
            index_file=True,
            max_age=0,
            allow_all_origins=False,
            add_headers_function=_tag_by_content,
        )

    def update_files_dictionary(self, root: str, prefix: str) -> None:
        """Every file that is not hidden is known, without its time."""
        known = {path: _timeless(status) for path, status in scantree(root)}
        for path in known:
            url = prefix + path[len(root) :]
            if not _is_hidden(url):
                self.add_file_to_dictionary(url, path, stat_cache=known)

    def _answer_not_found(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        page = self._root / "404.html"
        body = page.read_bytes() if page.is_file() else _NOT_FOUND
        start_response(
            "404 Not Found", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _is_hidden(url: str) -> bool:
    return url in _NEVER_SERVED or any(
        part.startswith(".") and part != _SHOWN_DOTFILES for part in url.split("/") if part
    )


def _timeless(status: os.stat_result) -> os.stat_result:
    return os.stat_result((*status[:7], 0, 0, 0))


def _tag_by_content(headers: Headers, path: str, _url: str) -> None:
    with Path(path).open("rb") as file:
        tag = (
            hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file.read())
        )
    has_variants = any(Path(path + ending).exists() for ending in (".gz", ".br"))
    headers["ETag"] = f'W/"{tag[:32]}"' if has_variants else f'"{tag[:32]}"'


def _digest(content: bytes) -> str:
    """For Python 3.10, which has no hashlib.file_digest."""
    return hashlib.sha256(content).hexdigest()

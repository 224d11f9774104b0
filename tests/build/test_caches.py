"""What one app's builds leave in its download cache reaches no other app."""

import pytest

from support.building import APP, Builder, Recorder
from trivet.build import BuildRequest, make_build, verify_layer
from trivet.model.build import Build
from trivet.model.names import AppName

FILES = {"requirements.txt": "iniconfig==2.1.0\n", "Procfile": "web: true\n"}
POISON = "# poisoned\n"


def _build(builder: Builder, app: str) -> Build:
    request = BuildRequest(
        builder.home, AppName(app), builder.repository.path, "HEAD", rebuild=True, caller=builder.caller
    )
    return make_build(request, Recorder()).build


def _installed(builder: Builder, build: Build) -> str:
    (path,) = builder.bundle(build).glob("dependencies/lib/python3*/site-packages/iniconfig/__init__.py")
    return path.read_text()


@pytest.mark.fetches
def test_a_poisoned_download_cache_reaches_no_other_app(builder: Builder) -> None:
    first = builder.commit(FILES).build
    cached = list(builder.home.cache(APP).rglob("iniconfig/__init__.py"))
    assert cached
    for path in cached:
        path.write_text(POISON)
    assert POISON not in _installed(builder, first), "a layer shares no inode with the cache"
    verify_layer(builder.home, next(layer for layer in first.layers if layer.name == "dependencies"))
    assert _installed(builder, _build(builder, APP)) == POISON, "the cache is what it is poisoned with"
    other = _build(builder, "other")
    assert _installed(builder, other) == _installed(builder, first)
    assert (
        make_build(
            BuildRequest(builder.home, AppName("third"), builder.repository.path, "HEAD", caller=builder.caller),
            Recorder(),
        ).build.layers
        == first.layers
    )

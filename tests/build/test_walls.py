"""A build may write to its scratch folder and to the download cache, and nowhere else: the kernel refuses."""

import json
from pathlib import Path

import pytest

from support.building import Builder
from trivet.build import verify_layer
from trivet.host.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")


def _app(*commands: str) -> dict[str, str | None]:
    return {
        "Procfile": "web: true\n",
        "web.py": "print(1)\n",
        "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n",
    }


def test_a_build_cannot_change_a_layer_that_is_stored(builder: Builder) -> None:
    before = builder.commit(_app("true")).build
    layers = builder.home.layers
    attack = (
        f"chmod -R u+w {layers}; for file in {layers}/*/web.py; do echo '# owned' >> $file; done; rm -rf {layers}; true"
    )
    after = builder.commit(_app(attack)).build
    for layer in (*before.layers, *after.layers):
        verify_layer(builder.home, layer)
    assert builder.read(before, "web.py") == "print(1)\n"


@pytest.mark.parametrize("place", ["repository", "home", "machine"])
def test_a_build_cannot_write_outside(builder: Builder, tmp_path: Path, place: str) -> None:
    folder = {"repository": builder.repository.path, "home": builder.home.root, "machine": tmp_path}[place]
    builder.commit(_app(f"touch {folder}/owned || echo refused"))
    assert not (folder / "owned").exists()
    assert any("refused" in line for line in builder.told.lines)


def test_a_build_can_write_where_it_works(builder: Builder) -> None:
    built = builder.commit(
        _app("touch made $HOME/made $TMPDIR/made && mv $TMPDIR/made moved && mkfifo $TMPDIR/pipe")
    ).build
    assert builder.read(built, "made") == ""
    assert builder.read(built, "moved") == ""

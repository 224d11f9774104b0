"""Links between layers: what a layer shows of an earlier one, while it is made and in the end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trivet.build.links import borrow, connect, give_back
from trivet.errors import StoreError
from trivet.model.build_plan import Link

MODULES = Link("node_modules", "dependencies")
DIGEST = "0123"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with a stored layer of dependencies, and a layer `app` that is being made."""
    (tmp_path / "layers" / DIGEST / "node_modules").mkdir(parents=True)
    bundle = tmp_path / "bundle"
    (bundle / "app").mkdir(parents=True)
    (bundle / "dependencies").symlink_to(tmp_path / "layers" / DIGEST)
    return bundle


def _write(folder: Path, files: dict[str, str]) -> None:
    """Files in a folder; a text that starts with -> is a link."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)


def _stored(bundle: Path, name: str = "app") -> Path:
    """The layer where it stands once it is stored: beside the others."""
    target = bundle.parent / "layers" / "4567"
    (bundle / name).rename(target)
    return target


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text()


def test_a_layer_reaches_the_earlier_one_by_a_single_link(bundle: Path) -> None:
    _write(
        bundle / "dependencies",
        {"node_modules/express/index.js": "express", "node_modules/.bin/x": "->../express/index.js"},
    )
    connect(bundle, bundle / "app", MODULES)
    app = _stored(bundle)
    assert (app / "node_modules").readlink() == Path(f"../{DIGEST}/node_modules")
    assert _read(app, "node_modules/express/index.js") == _read(app, "node_modules/.bin/x") == "express"


def test_links_of_the_earlier_layer_lead_to_the_files_of_this_one(bundle: Path) -> None:
    _write(
        bundle / "dependencies",
        {
            "node_modules/ms/index.js": "ms",
            "node_modules/@shop/lib": "->../../packages/lib",
            "node_modules/@shop/from-outside/index.js": "outside",
            "node_modules/.bin/lib": "->../@shop/lib/cli.js",
            "packages/lib/node_modules/ms/index.js": "older ms",
        },
    )
    _write(bundle / "app", {"packages/lib/cli.js": "cli of the app"})
    for link in (
        MODULES,
        Link("packages/lib/node_modules", "dependencies"),
        Link("packages/none/node_modules", "dependencies"),
    ):
        connect(bundle, bundle / "app", link)
    app = _stored(bundle)
    assert _read(app, "node_modules/ms/index.js") == "ms"
    assert _read(app, "node_modules/@shop/lib/cli.js") == _read(app, "node_modules/.bin/lib") == "cli of the app"
    assert _read(app, "node_modules/@shop/from-outside/index.js") == "outside"
    assert _read(app, "packages/lib/node_modules/ms/index.js") == "older ms"
    assert (app / "node_modules/ms").resolve() == bundle.parent / "layers" / DIGEST / "node_modules" / "ms"
    assert len(str((app / "node_modules/ms").readlink())) < 60, "a longer link costs a block of the disk"
    assert not (app / "packages/none").exists()


def test_what_is_borrowed_can_be_added_to_and_is_given_back(bundle: Path) -> None:
    _write(
        bundle / "dependencies", {"node_modules/vite/index.js": "vite", "node_modules/.bin/vite": "->../vite/index.js"}
    )
    borrow(bundle, bundle / "app", MODULES)
    modules = bundle / "app" / "node_modules"
    (modules / ".cache").mkdir()
    assert _read(modules, "vite/index.js") == _read(modules, ".bin/vite") == "vite"
    assert (modules / "vite").resolve() == bundle.parent / "layers" / DIGEST / "node_modules" / "vite"
    give_back(bundle / "app", (MODULES,))
    assert not list((bundle / "app").iterdir())
    assert _read(bundle, "dependencies/node_modules/vite/index.js") == "vite"
    assert not (bundle / "dependencies/node_modules/.cache").exists()


def test_a_copy_can_be_written_and_shares_nothing_with_the_store(bundle: Path) -> None:
    _write(bundle / "dependencies", {"node_modules/next/cli.js": "next", "node_modules/.bin/next": "->../next/cli.js"})
    stored = bundle / "dependencies/node_modules/next"
    (stored / "cli.js").chmod(0o555)
    stored.chmod(0o555)
    borrow(bundle, bundle / "app", Link("node_modules", "dependencies", is_copied=True))
    copied = bundle / "app/node_modules/next/cli.js"
    assert (copied.stat().st_mode & 0o777, copied.parent.stat().st_mode & 0o777) == (0o755, 0o755)
    copied.write_text("changed")
    assert _read(bundle, "app/node_modules/.bin/next") == "changed"
    assert _read(stored, "cli.js") == "next"


def _refused(act: Callable[[], None]) -> None:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.message == (
        "There is no place for packages/lib/node_modules in the build: a folder above it is a symbolic link."
    )


@pytest.mark.parametrize("target", ["elsewhere", "../../outside"])
def test_no_link_is_put_where_the_app_leads_it(bundle: Path, target: str) -> None:
    _write(bundle / "dependencies", {"packages/lib/node_modules/ms/index.js": "ms"})
    outside = bundle.parent / "outside"
    _write(outside, {"node_modules/kept": ""})
    (bundle / "app" / "packages").mkdir()
    (bundle / "app" / "packages" / "lib").symlink_to(target if target != "../../outside" else outside)
    link = Link("packages/lib/node_modules", "dependencies")
    for act in (lambda: connect(bundle, bundle / "app", link), lambda: give_back(bundle / "app", (link,))):
        _refused(act)
    assert [path.name for path in outside.iterdir()] == ["node_modules"]
    assert (outside / "node_modules" / "kept").exists()

"""Real Node apps and sites: built by the package managers, started, and asked. Some need the network."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.building import Builder
from support.command import fetch
from support.node import MANAGERS, app_of, offline_app
from trivet.build import plan_pruning, prune, verify_layer
from trivet.errors import MachineError, StepFailed
from trivet.model.build import Build
from trivet.model.home import Home
from trivet.model.pruning import BuildName, Keep

pytestmark = [pytest.mark.slow, pytest.mark.fetches]

SERVER = """
const http = require("node:http");
const ms = require("ms");
http.createServer((request, response) => response.end([ms("2 days"), process.env.NODE_ENV].join(" ")))
  .listen(process.env.PORT, "127.0.0.1");
"""
BUILD = """
const fs = require("node:fs");
fs.mkdirSync("node_modules/.cache");
fs.writeFileSync("built.txt", String(require("is-number")("5") && require("ms")("1s")));
"""


def _modules(builder: Builder, build: Build) -> list[str]:
    folder = builder.bundle(build) / "dependencies" / "node_modules"
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _digest(build: Build, name: str) -> str:
    return next(layer.digest for layer in build.layers if layer.name == name)


@pytest.mark.parametrize("manager", MANAGERS)
def test_an_app_is_built_by_its_package_manager_answers_and_is_the_same_elsewhere(
    builder: Builder, manager: str, tmp_path: Path
) -> None:
    scripts = {"build": "node make.js", "start": "node server.js"}
    built = builder.commit(app_of(manager, {"scripts": scripts}, {"server.js": SERVER, "make.js": BUILD})).build
    assert [layer.name for layer in built.layers] == ["dependencies", "app"]
    assert _modules(builder, built) == ["ms"], "what is for development only is not in the bundle"
    assert builder.read(built, "built.txt") == "1000"
    with builder.serve(built) as url:
        assert fetch(url) == (200, "172800000 production")
    again = builder.commit({"server.js": SERVER.replace("2 days", "1 day")}).build
    assert not [step for step in builder.told.steps if step.startswith("installing")]
    assert _digest(again, "dependencies") == _digest(built, "dependencies")
    assert not (builder.bundle(again) / "dependencies" / "node_modules" / ".cache").exists()
    for layer in again.layers:
        verify_layer(builder.home, layer)
    other = Builder(Home(tmp_path / "other"), builder.repository)
    assert other.build().build.layers == again.layers


def test_the_bill_of_materials_lists_what_is_in_production_and_what_needs_what(builder: Builder) -> None:
    app = app_of("npm", {"version": "1.0.0", "scripts": {"start": "node server.js"}}, {"server.js": SERVER})
    built = builder.commit(app).build
    sbom = json.loads((builder.home.build(built.app, built.id) / "sbom.json").read_text())
    assert [(each["name"], each["version"]) for each in sbom["components"] if each["name"] != "node"] == [
        ("ms", "2.1.3")
    ]
    if tuple(map(int, built.tools["npm"].version.split(".")[:2])) >= (9, 9):  # the first that has `npm sbom`
        (ms,) = (each for each in sbom["components"] if each["name"] == "ms")
        assert any(ms["bom-ref"] in each.get("dependsOn", ()) for each in sbom["dependencies"])


def test_what_only_a_build_needs_is_kept_with_it_for_the_next(builder: Builder) -> None:
    scripts = {"build": "node make.js", "start": "node server.js"}
    built = builder.commit(app_of("npm", {"scripts": scripts}, {"server.js": SERVER, "make.js": BUILD})).build
    assert [layer.name for layer in built.made_with] == ["build-dependencies"]
    kept = BuildName(built.app, built.id)
    _, removal = plan_pruning(builder.home, Keep(frozenset({kept}), frozenset(), (), None, 1e12), thorough=True)
    prune(builder.home, removal)
    again = builder.commit({"make.js": BUILD.replace("1s", "2s")})
    assert "build-dependencies: unchanged" in builder.told.steps
    assert again.build.made_with == built.made_with
    assert builder.read(again.build, "built.txt") == "2000"


@pytest.mark.parametrize("manager", MANAGERS)
def test_nothing_of_the_app_is_run_while_packages_are_fetched(builder: Builder, manager: str) -> None:
    hook = "module.exports = { name: 'x', factory: () => ({}), hooks: {} };"
    evil = f'require("node:fs").appendFileSync(`${{process.env.TMPDIR}}/ran`, "x");\n{hook}\n'
    hooks = ("preinstall", "install", "postinstall", "prepare", "prepublish", "dependencies", "pnpm:devPreinstall")
    scripts = {**dict.fromkeys(hooks, "node evil.js"), "start": "node server.js"}
    npmrc = (
        "script-shell=./evil.sh\nshell=./evil.sh\ngit=./evil.sh\nnode-options=--require=./evil.js\nignore-scripts=false\n"
        "onload-script=./evil.js\nnode-gyp=./evil.js\npython=./evil.sh\nglobal-pnpmfile=./evil.js\npnpmfile=./evil.js\n"
        "globalconfig=./evil.npmrc\nuserconfig=./evil.npmrc\n"
    )
    files = {
        "server.js": SERVER,
        "evil.js": evil,
        "evil.sh": "#!/bin/sh\necho >> $TMPDIR/ran\n",
        "evil.npmrc": "script-shell=./evil.sh\n",
        ".npmrc": npmrc,
        ".pnpmfile.cjs": evil,
        ".yarnrc": "yarn-path ./evil.js\n--install.ignore-scripts false\n",
        ".yarnrc.yml": "yarnPath: ./evil.js\nplugins: [./evil.js]\nenableScripts: true\n",
    }
    look = "cat $TMPDIR/ran > seen || true"
    app = app_of(manager, {"scripts": scripts}, {**files, "trivet.toml": f'[build]\ncommands = ["{look}"]\n'})
    built = builder.commit(app).build
    assert builder.read(built, "seen") == ""
    assert _modules(builder, built) == ["ms"]
    seen = builder.commit({"trivet.toml": f'[build]\ncommands = ["node evil.js", "{look}"]\n'}).build
    assert builder.read(seen, "seen") == "x", "a command of the build may run it"


def _commit(
    builder: Builder, package: Mapping[str, Any], lock: Mapping[str, Any], files: Mapping[str, str | None]
) -> Build:
    manifests = {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock)}
    return builder.commit({**manifests, **files}).build


def _package(version: str, **more: Any) -> str:
    return json.dumps({"version": version, **more})


def test_workspaces_find_each_other_their_packages_and_those_of_the_app(builder: Builder) -> None:
    package, lock = offline_app(
        builder.repository.path,
        {"shared": {"package.json": _package("2.0.0", main="x.js"), "x.js": 'module.exports = "shared"'}},
    )
    package |= {
        "type": "module",
        "workspaces": ["packages/*"],
        "scripts": {"start": "node server.js", "build": "greet"},
    }
    package["dependencies"] |= {"@shop/words": "1.0.0"}
    lock["packages"][""] |= {"workspaces": ["packages/*"], "dependencies": package["dependencies"]}
    words = {"name": "@shop/words", "version": "1.0.0", "main": "words.cjs", "bin": {"greet": "greet.cjs"}}
    lock["packages"] |= {
        "node_modules/@shop/words": {"resolved": "packages/words", "link": True},
        "packages/words": words,
    }
    built = _commit(
        builder,
        package,
        lock,
        {
            "packages/words/package.json": json.dumps(words),
            "packages/words/words.cjs": 'module.exports = "words with " + require("shared");',
            "packages/words/greet.cjs": "#!/usr/bin/env node\n"
            'require("node:fs").writeFileSync("greeting", require("@shop/words"))',
            "server.js": 'import http from "node:http";\nimport words from "@shop/words";\nimport shared from "shared";\n'
            "http.createServer((request, response) => response.end(`${words}, ${shared}`))"
            '.listen(process.env.PORT, "127.0.0.1");\n',
        },
    )
    assert builder.read(built, "greeting") == "words with shared"
    with builder.serve(built) as url:
        assert fetch(url) == (200, "words with shared, shared")
    assert (
        builder.bundle(built) / "app/node_modules/@shop/words"
    ).resolve().parent.parent.parent == builder.home.layers


def test_a_workspace_is_built_and_started_in_its_folder_from_the_lockfile_at_the_top(builder: Builder) -> None:
    package, lock = offline_app(
        builder.repository.path,
        {"shared": {"package.json": _package("2.0.0", main="x.js"), "x.js": 'module.exports = "shared"'}},
    )
    package |= {"workspaces": ["apps/*", "packages/*"]}
    own = {"name": "@shop/web", "version": "1.0.0", "dependencies": {"@shop/words": "1.0.0"}}
    words = {"name": "@shop/words", "version": "1.0.0", "main": "words.js"}
    lock["packages"][""] |= {"workspaces": package["workspaces"], "dependencies": package["dependencies"]}
    lock["packages"] |= {
        "node_modules/@shop/web": {"resolved": "apps/web", "link": True},
        "node_modules/@shop/words": {"resolved": "packages/words", "link": True},
        "apps/web": own,
        "packages/words": words,
    }
    builder.repository.commit(
        {
            "package.json": json.dumps(package),
            "package-lock.json": json.dumps(lock),
            "apps/web/trivet.toml": '[build]\nroot = "../.."\n',
            "apps/web/package.json": json.dumps(
                own | {"scripts": {"start": "node server.js", "build": "node make.js"}}
            ),
            "apps/web/make.js": 'require("node:fs").writeFileSync("made", require("@shop/words"));',
            "apps/web/server.js": 'const { readFileSync } = require("node:fs");\n'
            'require("node:http").createServer((request, response) => response.end(readFileSync("made")))'
            '.listen(process.env.PORT, "127.0.0.1");\n',
            "packages/words/package.json": json.dumps(words),
            "packages/words/words.js": 'module.exports = "words with " + require("shared");',
        }
    )
    built = builder.build(directory="apps/web").build
    assert (built.folder, [layer.name for layer in built.layers]) == ("apps/web", ["dependencies", "app"])
    with builder.serve(built) as url:
        assert fetch(url) == (200, "words with shared")


@pytest.fixture
def program(builder: Builder) -> tuple[dict[str, Any], dict[str, Any]]:
    """An app whose one package has to be compiled."""
    source = """
#include <node_api.h>
static napi_value answer(napi_env env, napi_callback_info info) {
  napi_value value; napi_create_int32(env, 42, &value); return value;
}
NAPI_MODULE_INIT() {
  napi_value function; napi_create_function(env, 0, 0, answer, 0, &function); return function;
}
"""
    files = {
        "package.json": _package("1.0.0", main="index.js", gypfile=True, scripts={"install": "node-gyp rebuild"}),
        "index.js": 'module.exports = require("./build/Release/answer.node")',
        "binding.gyp": '{ "targets": [{ "target_name": "answer", "sources": ["answer.c"] }] }',
        "answer.c": source,
    }
    package, lock = offline_app(builder.repository.path, {"answer": files})
    return {**package, "scripts": {"start": "node server.js"}}, lock


ANSWER = """
let answer = () => "nothing";
try { answer = require("answer"); } catch (error) { if (error.code !== "MODULE_NOT_FOUND") throw error; }
require("node:http").createServer((request, response) => response.end(String(answer()))).listen(process.env.PORT, "127.0.0.1");
"""


def test_an_allowed_package_is_compiled_to_the_same_bytes_everywhere(
    builder: Builder, program: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    package, lock = program
    built = _commit(builder, {**package, "allowScripts": {"answer": True}}, lock, {"server.js": ANSWER})
    with builder.serve(built) as url:
        assert fetch(url) == (200, "42")
    other = Builder(Home(tmp_path / "other"), builder.repository)
    assert other.build().build.layers == built.layers
    scratch = str(builder.home.scratch).encode()
    files = [path for path in (builder.bundle(built) / "dependencies" / ".").rglob("*") if path.is_file()]
    assert not [path for path in files if scratch in path.read_bytes()]


def test_a_package_that_is_not_allowed_is_not_compiled_and_told(
    builder: Builder, program: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    package, lock = program
    built = _commit(builder, package, lock, {"server.js": ANSWER})
    assert builder.told.notices[0] == (
        "Not run, since package.json does not allow it: the install scripts of answer. "
        'If the app needs one: "allowScripts": {"answer": true}'
    )
    with builder.serve(built) as url:
        assert fetch(url) == (200, "nothing")


SITE_TOOL = {
    "package.json": _package("1.0.0", bin={"make-site": "cli.js"}),
    "cli.js": '#!/usr/bin/env node\nconst fs = require("node:fs");\nconst folder = process.argv[2];\n'
    'fs.mkdirSync(folder, { recursive: true });\nfs.cpSync("public", folder, { recursive: true });\n'
    'fs.writeFileSync(`${folder}/index.html`, "<h1>made</h1>");\n',
}


@pytest.mark.parametrize(
    ("folder", "toml"), [("dist", None), ("_site", None), ("web/out", '[build]\noutput = "web/out"\n')]
)
def test_a_site_is_made_by_its_build_script_and_served(builder: Builder, folder: str, toml: str | None) -> None:
    package, lock = offline_app(builder.repository.path, {}, {"make-site": SITE_TOOL})
    package["scripts"] = {"build": f"make-site {folder}", "start": "vite"}
    files: dict[str, str | None] = {"public/robots.txt": "all"}
    built = _commit(builder, package, lock, {**files, **({"trivet.toml": toml} if toml else {})})
    assert [layer.name for layer in built.layers][-3:] == ["server", "dependencies", "app"], (
        "a runtime may be before them"
    )
    assert not (builder.bundle(built) / "app" / "node_modules").exists()
    with builder.serve(built) as url:
        assert fetch(url) == (200, "<h1>made</h1>")
        assert fetch(f"{url}/robots.txt") == (200, "all")
        assert fetch(f"{url}/package.json")[0] == 404


def test_a_build_script_that_leaves_no_page_is_an_error(builder: Builder) -> None:
    package, lock = offline_app(builder.repository.path, {})
    with pytest.raises(StepFailed) as caught:
        _commit(builder, {**package, "scripts": {"build": "mkdir dist"}}, lock, {"README.md": ""})
    assert caught.value.message == (
        "The build script left no page to serve: there is no index.html in dist/, build/, _site/, out/, public/."
    )
    assert caught.value.hint == (
        'Say in trivet.toml where the pages are: [build] output = "FOLDER". If the app has a server of its own, give '
        'package.json a start script ("start": "node server.js") or commit a Procfile. '
        "`trivet builds log failed` shows all the output."
    )


def test_a_build_script_cannot_change_the_packages_that_builds_share(builder: Builder) -> None:
    package, lock = offline_app(
        builder.repository.path,
        {"shared": {"package.json": _package("1.0.0", main="x.js"), "x.js": "module.exports = 1"}},
    )
    build = "echo changed >> node_modules/shared/x.js"
    with pytest.raises(StepFailed) as caught:
        _commit(builder, {**package, "scripts": {"build": build, "start": "node server.js"}}, lock, {})
    assert caught.value.message == "Running the build script of package.json ended with exit status 2."
    assert "cannot create node_modules/shared/x.js" in "\n".join(caught.value.detail)


def test_only_steps_that_fetch_see_the_callers_registry(builder: Builder, tmp_path: Path) -> None:
    package, lock = offline_app(builder.repository.path, {})
    (tmp_path / "npmrc").write_text("registry=http://127.0.0.1:9/\n")
    builder.caller = {
        **os.environ,
        "NPM_CONFIG_USERCONFIG": str(tmp_path / "npmrc"),
        "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9/",
    }
    scripts = {"build": "env > seen", "start": "node server.js"}
    built = _commit(builder, {**package, "scripts": scripts}, lock, {})
    seen = builder.read(built, "seen")
    assert str(tmp_path / "npmrc") not in seen
    assert "127.0.0.1:9" not in seen
    with pytest.raises(StepFailed) as caught:
        builder.commit(app_of("npm", {"scripts": scripts}, {}))
    assert "127.0.0.1:9" in "\n".join(caught.value.detail)


def test_a_node_that_is_not_there_is_an_error(builder: Builder) -> None:
    package, lock = offline_app(builder.repository.path, {})
    with pytest.raises(MachineError) as caught:
        _commit(builder, {**package, "engines": {"node": ">=99"}}, lock, {"server.js": SERVER})
    assert caught.value.message.startswith(
        "The app asks for node >=99 (engines.node in package.json); on this machine there is "
    )
    assert caught.value.hint == (
        "Install a Node that suits (`apt-get install nodejs npm`, or from https://nodejs.org), "
        "or change what engines.node in package.json asks for."
    )


def test_a_package_that_is_not_there_is_told_in_npms_words(builder: Builder) -> None:
    package = {"dependencies": {"trivet-no-such-package": "1.0.0"}, "scripts": {"start": "node x.js"}}
    locked = {"": package, "node_modules/trivet-no-such-package": {"version": "1.0.0", "integrity": "sha512-AAAA"}}
    with pytest.raises(StepFailed) as caught:
        _commit(builder, package, {"lockfileVersion": 3, "packages": locked}, {})
    assert caught.value.message == "Installing dependencies from package-lock.json ended with exit status 1."
    assert "trivet-no-such-package" in "\n".join(caught.value.detail)


def test_a_build_remembers_the_node_it_relies_on(builder: Builder) -> None:
    package, lock = offline_app(builder.repository.path, {})
    built = _commit(builder, package, lock, {"server.js": SERVER})
    assert (built.runtime, set(built.tools)) == ("node", {"node", "npm"})
    assert built.tools["node"].path == os.path.realpath(built.tools["node"].path)


def test_an_app_in_a_folder_brings_its_own_lockfile(builder: Builder) -> None:
    files = app_of("npm", {"scripts": {"start": "node server.js"}}, {})
    builder.repository.commit({f"shop/{name}": text for name, text in files.items()} | {"shop/server.js": SERVER})
    built = builder.build(directory="shop").build
    with builder.serve(built) as url:
        assert fetch(url)[0] == 200

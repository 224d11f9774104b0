"""What the builders for Node apps and sites plan, and what they say when they cannot. No process, no file."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support.planning import error_of, plan_of, processes_of
from support.toolchains import needs
from trivet.errors import DetectionError, InvalidFile, LockfileError
from trivet.model.build_plan import BuildPlan, LayerPlan, Link, Phase, Step

pytestmark = needs("node", "npm")

EXPRESS = {"dependencies": {"express": "^4.19.0"}}
PNPM_LOCK = """lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      express:
        specifier: ^4.19.0
        version: 4.22.3
"""
YARN_CLASSIC_LOCK = '# yarn lockfile v1\n\nexpress@^4.0.0, express@^4.19.0:\n  version "4.22.3"\n'
YARN_LOCK = '__metadata:\n  version: 8\n\n"express@npm:^4.19.0":\n  version: 4.22.3\n'
LOCKS = {"pnpm-lock.yaml": PNPM_LOCK, "yarn.lock": YARN_CLASSIC_LOCK}


def _npm_lock(*packages: tuple[str, Mapping[str, Any]], **locked: Mapping[str, Any]) -> str:
    entries = {folder: {"dependencies": data.get("dependencies", {}), **data} for folder, data in packages}
    return json.dumps({"lockfileVersion": 3, "packages": {**entries, **locked}})


def _app(package: Mapping[str, Any], **more: str) -> dict[str, str]:
    """An app with a package.json and the package-lock.json that matches it."""
    return {"package.json": json.dumps(package), "package-lock.json": _npm_lock(("", package)), **more}


def _layer(plan: BuildPlan, name: str) -> LayerPlan:
    return next(layer for layer in plan.layers if layer.name == name)


def _fetches(layer: LayerPlan) -> list[Step]:
    return [step for step in layer.steps if step.phase is Phase.FETCH]


@pytest.mark.parametrize(
    ("files", "builder", "web"),
    [
        (_app({"scripts": {"start": "node server.js"}}), "node", "node server.js"),
        (_app({"scripts": {"start": "next start -p $PORT"}}), "node", "next start -p $PORT"),
        (_app({"scripts": {"start": "node x.js", "prestart": "y"}}), "node", "npm start"),
        (_app({"scripts": {"start": "echo $npm_package_name"}}), "node", "npm start"),
        (_app({"main": "./lib/main"}, **{"lib/main.js": ""}), "node", "node lib/main.js"),
        (_app({}, **{"server.js": ""}), "node", "node server.js"),
        (_app({"main": "missing.js"}, **{"index.mjs": ""}), "node", "node index.mjs"),
        (_app({"scripts": {"build": "tsc", "start": "node dist/x.js"}}), "node", "node dist/x.js"),
        (_app({"scripts": {"build": "x", "start": "vite preview"}}), "node", "vite preview"),
        (_app({}, Procfile="web: mine"), "node", "mine"),
        (_app({"scripts": {"build": "vite build"}}, Procfile="web: mine"), "node", "mine"),
    ],
)
def test_an_app_is_started_as_its_package_says(files: dict[str, str], builder: str, web: str) -> None:
    assert (plan_of(files).builder, processes_of(files)) == (builder, {"web": web})


@pytest.mark.parametrize(
    "files",
    [
        _app({"scripts": {"build": "vite build"}}, **{"index.html": ""}),
        _app({"scripts": {"build": "eleventy"}}, **{"index.md": "", "index.js": ""}),
        *(
            _app({"scripts": {"build": "x", "start": start}})
            for start in (
                "vite",
                "vite --port 3000",
                "astro dev",
                "react-scripts start",
                "eleventy --serve",
                "parcel x.html",
            )
        ),
    ],
)
def test_a_build_script_without_a_server_makes_a_site(files: dict[str, str]) -> None:
    plan = plan_of(files)
    assert plan.builder == "static"
    assert [layer.name for layer in plan.layers] == ["runtime", "server", "dependencies", "build-dependencies", "app"]
    assert [tool.name for tool in plan.tools if tool.is_runtime] == ["python"]


def test_pages_beside_a_package_that_builds_nothing_are_served_as_they_are() -> None:
    plan = plan_of({"package.json": '{"devDependencies": {"prettier": "3"}}', "index.html": ""})
    assert (plan.builder, [tool.name for tool in plan.tools]) == ("static", ["uv", "python"])


def test_a_package_with_nothing_to_start_is_told_what_was_looked_for() -> None:
    assert error_of(_app({}, **{"lib/shop.js": ""}), DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: package.json has no start script, and neither its "
            "`main` nor server.js or index.js is there."
        ),
        (
            'Add a start script to package.json ("start": "node lib/shop.js"), or commit a file called Procfile with the line '
            "`web: node lib/shop.js`."
        ),
    )


def test_python_goes_before_node_and_node_before_pages() -> None:
    assert plan_of({**_app({}), "requirements.txt": "", "Procfile": "web: x"}).builder == "python"
    assert plan_of(_app({"scripts": {"start": "node x"}}, **{"index.html": ""})).builder == "node"


def test_without_a_lockfile_there_is_an_error_that_says_what_writes_one() -> None:
    assert error_of({"package.json": "{}", "server.js": ""}, LockfileError) == (
        "There is package.json, but no lockfile that says which versions to install.",
        (
            "Run `npm install --package-lock-only` and commit the lockfile it writes "
            "(package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock)."
        ),
    )
    assert error_of({"package.json": '{"packageManager": "pnpm@10.1.0"}', "server.js": ""})[1].startswith(
        "Run `pnpm install` and commit"
    )


def test_a_lockfile_of_another_tool_is_named() -> None:
    assert error_of({"package.json": "{}", "server.js": "", "bun.lock": ""}, LockfileError)[0] == (
        "There is bun.lock, which Trivet cannot install from, and no lockfile that says which versions to install."
    )


def test_several_lockfiles_are_an_error() -> None:
    assert error_of({**_app(EXPRESS), **LOCKS, "server.js": ""}, LockfileError) == (
        "There are several lockfiles, package-lock.json and pnpm-lock.yaml and yarn.lock, so it is not clear what to install.",
        "Remove all but one from the commit, for example `git rm yarn.lock`.",
    )


def test_a_lockfile_that_is_not_the_named_managers_is_an_error() -> None:
    files = _app({"packageManager": "pnpm@10.1.0"}, **{"server.js": ""})
    assert error_of(files, LockfileError) == (
        "package.json asks for pnpm (packageManager), but the lockfile is package-lock.json.",
        "Run `pnpm install`, commit its lockfile and remove package-lock.json; or take packageManager out.",
    )


def test_a_package_manager_without_a_version_is_an_error() -> None:
    assert error_of(_app({"packageManager": "pnpm"}, **{"server.js": ""}), InvalidFile) == (
        "package.json: packageManager is 'pnpm', which is no package manager with its version.",
        'Write it like this: "packageManager": "pnpm@10.34.0" (npm, pnpm or yarn).',
    )


def test_an_old_lockfile_is_an_error() -> None:
    files = {"package.json": "{}", "package-lock.json": '{"lockfileVersion": 1}', "server.js": ""}
    assert error_of(files, LockfileError) == (
        "package-lock.json was written by npm 6 or older and does not hold all that must be known.",
        "Write it anew with `npm install --package-lock-only` of a newer npm, and commit it.",
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"package.json": "{\n oops"}, "package.json:2: Expecting property name enclosed in double quotes."),
        ({"package.json": "[]"}, "package.json:1: this is no package.json."),
        ({"package.json": "{}", "package-lock.json": "{\n"}, "package-lock.json:2: this cannot be read."),
        ({"package.json": "{}", "pnpm-lock.yaml": "a: b\n: :\n c"}, "pnpm-lock.yaml:2: this is no valid YAML."),
    ],
)
def test_a_broken_manifest_is_an_error_with_its_line(files: dict[str, str], message: str) -> None:
    assert error_of({**files, "server.js": ""}, InvalidFile)[0] == message


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        (
            {"package-lock.json": _npm_lock(("", {"dependencies": {"express": "^3.0.0", "ms": "1"}}))},
            (
                "package-lock.json does not match package.json: package.json asks for express ^4.19.0, it for ^3.0.0, "
                "ms is not in package.json any more."
            ),
            "Run `npm install --package-lock-only` and commit package-lock.json.",
        ),
        (
            {"package-lock.json": _npm_lock(("", {}))},
            "package-lock.json does not match package.json: express ^4.19.0 of package.json is not in it.",
            "Run `npm install --package-lock-only` and commit package-lock.json.",
        ),
        (
            {"pnpm-lock.yaml": PNPM_LOCK.replace("^4.19.0", "^4.0.0")},
            "pnpm-lock.yaml does not match package.json: package.json asks for express ^4.19.0, it for ^4.0.0.",
            "Run `pnpm install` and commit pnpm-lock.yaml.",
        ),
        (
            {"yarn.lock": "# yarn lockfile v1\n"},
            "yarn.lock does not match package.json: express ^4.19.0 of package.json is not in it.",
            "Run `yarn install` and commit yarn.lock.",
        ),
        (
            {"yarn.lock": YARN_LOCK.replace("^4.19.0", "^5.0.0")},
            "yarn.lock does not match package.json: express ^4.19.0 of package.json is not in it.",
            "Run `yarn install` and commit yarn.lock.",
        ),
    ],
)
def test_a_lockfile_that_does_not_match_is_an_error_that_says_what_mends_it(
    files: dict[str, str], message: str, hint: str
) -> None:
    assert error_of({"package.json": json.dumps(EXPRESS), "server.js": "", **files}, LockfileError) == (message, hint)


@pytest.mark.parametrize(
    "lock", [{"pnpm-lock.yaml": PNPM_LOCK}, {"yarn.lock": YARN_CLASSIC_LOCK}, {"yarn.lock": YARN_LOCK}]
)
def test_a_lockfile_that_matches_is_installed_from(lock: dict[str, str]) -> None:
    plan = plan_of({"package.json": json.dumps(EXPRESS), "server.js": "", **lock})
    assert [layer.name for layer in plan.layers] == ["package-manager", "dependencies", "app"]
    assert [layer.name for layer in plan.layers if layer.only_for_build] == ["package-manager"]


@pytest.mark.parametrize(
    ("lock", "pin", "package"),
    [
        ({"pnpm-lock.yaml": PNPM_LOCK}, "", "pnpm@10"),
        ({"pnpm-lock.yaml": PNPM_LOCK.replace("'9.0'", "'6.0'")}, "", "pnpm@8"),
        ({"pnpm-lock.yaml": PNPM_LOCK}, "pnpm@9.15.0+sha512.abc", "pnpm@9.15.0"),
        ({"yarn.lock": YARN_CLASSIC_LOCK}, "", "yarn@1"),
        ({"yarn.lock": YARN_CLASSIC_LOCK}, "yarn@1.22.22", "yarn@1.22.22"),
        ({"yarn.lock": YARN_LOCK}, "yarn@4.9.1", "@yarnpkg/cli-dist@4.9.1"),
    ],
)
def test_the_package_manager_is_the_one_of_the_lockfile(lock: dict[str, str], pin: str, package: str) -> None:
    plan = plan_of(
        {"package.json": json.dumps({**EXPRESS, **({"packageManager": pin} if pin else {})}), "server.js": "", **lock}
    )
    (step,) = _layer(plan, "package-manager").steps
    assert step.argv[-1] == package
    assert any(package in notice for notice in plan.notices) is (not pin)


def test_an_app_without_a_build_needs_production_dependencies_only() -> None:
    plan = plan_of(_app({**EXPRESS, "devDependencies": {"semver": "7"}}, **{"server.js": ""}))
    assert [layer.name for layer in plan.layers] == ["dependencies", "app"]
    (install,) = _fetches(plan.layers[0])
    assert install.argv[2:] == ("ci", "--omit=dev")
    assert (plan.layers[1].borrows, plan.layers[1].links) == ((), (Link("node_modules", "dependencies"),))


def test_a_build_script_borrows_all_dependencies_and_leaves_production_ones() -> None:
    plan = plan_of(_app({**EXPRESS, "devDependencies": {"x": "7"}, "scripts": {"build": "x", "start": "node x"}}))
    assert [(layer.name, layer.only_for_build) for layer in plan.layers] == [
        ("dependencies", False),
        ("build-dependencies", True),
        ("app", False),
    ]
    assert _fetches(plan.layers[1])[0].argv[2:] == ("ci",)
    app = plan.layers[2]
    assert app.borrows == (Link("node_modules", "build-dependencies"),)
    assert app.links == (Link("node_modules", "dependencies"),)


def test_without_development_dependencies_the_build_borrows_those_of_production() -> None:
    plan = plan_of(_app({**EXPRESS, "scripts": {"build": "x", "start": "node x"}}))
    assert [layer.name for layer in plan.layers] == ["dependencies", "app"]
    assert plan.layers[1].borrows == (Link("node_modules", "dependencies"),)


def test_commands_of_the_app_run_after_the_build_script_with_its_programs() -> None:
    files = _app({"scripts": {"build": "x", "start": "node x"}})
    toml = "[build]\ncommands = ['prune']\n[build.environment]\nNODE_ENV = 'test'\n"
    app = plan_of({**files, "trivet.toml": toml}).layers[-1]
    assert [step.title for step in app.steps] == [
        "running the build script of package.json",
        "removing caches",
        "running prune",
    ]
    assert app.steps[-1].environment["NODE_ENV"] == "test"
    assert app.steps[-1].environment["PATH"].startswith("{bundle}/app/node_modules/.bin:")
    assert {step.phase for step in app.steps} == {Phase.COMPILE}


@pytest.mark.parametrize(
    ("package", "copied"),
    [
        ({"dependencies": {"next": "^15.1.0"}, "scripts": {"build": "next build"}}, False),
        ({"dependencies": {"next": "^15.1.0"}, "scripts": {"build": "next build --turbopack"}}, True),
        ({"dependencies": {"next": "16.0.1"}, "scripts": {"build": "next build"}}, True),
        ({"dependencies": {"next": "latest"}, "scripts": {"build": "next build"}}, True),
        ({"dependencies": {"next": "^16"}, "scripts": {"build": "next build --webpack"}}, False),
    ],
)
def test_turbopack_is_given_copies_since_it_follows_no_link_out_of_the_app(
    package: dict[str, Any], copied: bool
) -> None:
    plan = plan_of(_app({**package, "scripts": {"start": "next start", **package["scripts"]}}))
    assert [link.is_copied for link in plan.layers[-1].borrows] == [copied]
    assert [link.is_copied for link in plan.layers[-1].links] == [False]


def test_nothing_of_the_app_that_could_run_is_given_to_the_package_manager() -> None:
    package = {
        **EXPRESS,
        "version": "1.2.3",
        "scripts": {"preinstall": "evil", "start": "node x"},
        "config": {"x": "y"},
    }
    npmrc = "; mine\nregistry = https://npm.example.org/\nscript-shell=./evil\n//npm.example.org/:_authToken=${TOKEN}\n"
    npmrc += "node-options=--require ./evil.js\ngit=./evil\nsave-exact=true\n@mine:registry=https://x.example.org\n"
    plan = plan_of(_app(package, **{".npmrc": npmrc, "evil.js": ""}))
    layer = _layer(plan, "dependencies")
    assert set(layer.files) == {"package.json", "package-lock.json", ".npmrc"}
    assert json.loads(layer.files["package.json"]) == EXPRESS
    assert layer.files[".npmrc"] == (
        "registry = https://npm.example.org/\n//npm.example.org/:_authToken=${TOKEN}\n@mine:registry=https://x.example.org\n"
    )
    assert layer.inputs == ()
    assert plan.notices[0] == (
        "Not heeded while dependencies are installed, since it could run programs: "
        ".npmrc: script-shell, .npmrc: node-options, .npmrc: git."
    )


def test_settings_of_pnpm_and_yarn_lose_what_could_run() -> None:
    pnpm = plan_of(
        {
            "package.json": json.dumps(
                {**EXPRESS, "pnpm": {"overrides": {"ms": "1"}, "executionEnv": {"nodeVersion": "1"}}}
            ),
            "pnpm-lock.yaml": PNPM_LOCK + "pnpmfileChecksum: abc\n\npackages: {}\n",
            "pnpm-workspace.yaml": "nodeLinker: hoisted\npnpmfile: evil.cjs\nconfigDependencies: {evil: 1.0.0}\n",
            ".pnpmfile.cjs": "evil",
            "server.js": "",
        }
    )
    files = _layer(pnpm, "dependencies").files
    assert files["pnpm-workspace.yaml"] == "nodeLinker: hoisted\n"
    assert json.loads(files["package.json"])["pnpm"] == {"overrides": {"ms": "1"}}
    assert "pnpmfileChecksum" not in files["pnpm-lock.yaml"]
    assert "pnpm-workspace.yaml: configDependencies, pnpm-workspace.yaml: pnpmfile." in pnpm.notices[0]
    assert pnpm.notices[1] == ".pnpmfile.cjs is not run: dependencies are installed as pnpm-lock.yaml says."
    yarn = plan_of(
        {
            "package.json": json.dumps(EXPRESS),
            "yarn.lock": YARN_LOCK,
            ".yarnrc.yml": "yarnPath: evil.cjs\nplugins: [evil.cjs]\nnpmRegistryServer: https://npm.example.org\n",
            "server.js": "",
        }
    )
    assert _layer(yarn, "dependencies").files[".yarnrc.yml"] == "npmRegistryServer: https://npm.example.org\n"
    assert ".yarnrc.yml: plugins." in yarn.notices[0]


def test_only_what_decides_dependencies_decides_their_layer() -> None:
    package = {**EXPRESS, "version": "1.0.0", "scripts": {"start": "node x.js"}}
    other = {**EXPRESS, "version": "1.0.1", "scripts": {"start": "node y.js", "test": "x"}, "description": "New"}
    lock = {"package-lock.json": _npm_lock(("", EXPRESS))}
    first = plan_of({"package.json": json.dumps(package), **lock, "x.js": "1"})
    assert _layer(first, "dependencies") == _layer(plan_of({"package.json": json.dumps(other), **lock}), "dependencies")


def test_install_scripts_run_without_the_network_and_only_where_the_app_allows_them() -> None:
    locked: dict[str, Mapping[str, Any]] = {
        "node_modules/bcrypt": {"hasInstallScript": True},
        "node_modules/@scope/b": {"hasInstallScript": True},
        "node_modules/plain": {},
    }
    package = {**EXPRESS, "allowScripts": {"bcrypt@5.1.1": True, "no": False}}
    files = {
        "package.json": json.dumps(package),
        "package-lock.json": _npm_lock(("", EXPRESS), **locked),
        "server.js": "",
    }
    plan = plan_of(files)
    (rebuild,) = [step for step in plan.layers[0].steps if "rebuild" in step.argv]
    assert (rebuild.argv[-1], rebuild.phase, rebuild.uses_cache) == ("bcrypt", Phase.COMPILE, False)
    assert plan.notices == (
        (
            "Not run, since package.json does not allow it: the install scripts of @scope/b. "
            'If the app needs one: "allowScripts": {"@scope/b": true}'
        ),
    )
    without = plan_of({**files, "package.json": json.dumps(EXPRESS)})
    assert not [step for step in without.layers[0].steps if "rebuild" in step.argv]


@pytest.mark.parametrize(
    "setting",
    [
        {"package.json": json.dumps({**EXPRESS, "pnpm": {"onlyBuiltDependencies": ["bcrypt"]}})},
        {"pnpm-workspace.yaml": "onlyBuiltDependencies: [bcrypt]\n"},
        {"pnpm-workspace.yaml": "allowBuilds: {bcrypt: true, other: false}\n"},
    ],
)
def test_pnpms_own_ways_to_allow_install_scripts_count(setting: dict[str, str]) -> None:
    files = {"package.json": json.dumps(EXPRESS), "pnpm-lock.yaml": PNPM_LOCK, "server.js": "", **setting}
    (rebuild,) = [step for step in _layer(plan_of(files), "dependencies").steps if "rebuild" in step.argv]
    assert rebuild.argv[-1] == "bcrypt"


def test_scripts_of_the_app_that_installing_would_have_run_are_told() -> None:
    plan = plan_of(_app({"scripts": {"postinstall": "patch-package", "start": "node x"}}))
    assert plan.notices == (
        (
            "Not run: postinstall of package.json, since dependencies are installed apart from the app. "
            'What the build needs of it goes into trivet.toml: [build] commands = ["npm run postinstall"].'
        ),
    )


@pytest.mark.parametrize(
    ("files", "wanted", "by"),
    [
        (_app({"engines": {"node": ">= 20"}}), ">= 20", "engines.node in package.json"),
        (_app({}, **{".nvmrc": "v22.11.0\n"}), "22.x", ".nvmrc"),
        (_app({}, **{".node-version": "lts/jod"}), "22.x", ".node-version"),
        (_app({}, **{".nvmrc": "lts/*"}), "", ""),
        (_app({"engines": {"node": "18 || 20"}}, **{".nvmrc": "22"}), "18 || 20", "engines.node in package.json"),
    ],
)
def test_the_versions_of_node_that_suit_are_told(files: dict[str, str], wanted: str, by: str) -> None:
    node, npm = plan_of({**files, "server.js": ""}).tools
    assert (node.name, node.wanted, node.wanted_by, node.is_runtime) == ("node", wanted, by, True)
    assert (npm.name, npm.is_runtime) == ("npm", False)


def test_a_range_that_is_none_is_an_error() -> None:
    assert error_of(_app({"engines": {"node": "newest"}}, **{"server.js": ""}), InvalidFile) == (
        "package.json: engines.node is 'newest', which is no range of versions.",
        'Write it like this: "engines": { "node": ">=20" }.',
    )


@pytest.mark.parametrize(
    "resolved", ["git+ssh://git@github.com/a/b.git#0123", "git+https://example.org/b.git#0123", "git://example.org/b"]
)
def test_a_package_from_git_is_refused_since_fetching_it_runs_it(resolved: str) -> None:
    lock = _npm_lock(("", EXPRESS), **{"node_modules/b": {"resolved": resolved}})
    message, hint = error_of(
        {"package.json": json.dumps(EXPRESS), "package-lock.json": lock, "server.js": ""}, LockfileError
    )
    assert message == (
        f"package-lock.json has a package from a git repository: {resolved}. "
        "npm would run the code of that repository while the network is open."
    )
    assert (
        hint == "Depend on a published version, or on an archive: https://github.com/OWNER/NAME/archive/COMMIT.tar.gz"
    )


def test_committed_modules_are_an_error() -> None:
    assert error_of(_app({}, **{"server.js": "", "node_modules/x/index.js": ""}), DetectionError) == (
        "The commit holds the folder node_modules (node_modules/x/index.js); a build installs it from the lockfile.",
        "Take it out with `git rm -r --cached node_modules`, add it to .gitignore, and commit.",
    )


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["packages/*"], ["packages/a", "packages/b"]),
        (["packages/**"], ["packages/a", "packages/a/deep", "packages/b"]),
        (["packages/*", "!packages/b"], ["packages/a"]),
        (["./site", "packages/a"], ["packages/a", "site"]),
    ],
)
def test_workspaces_are_installed_with_the_app(patterns: list[str], found: list[str]) -> None:
    package = {"workspaces": patterns, "scripts": {"start": "node x"}}
    files = {
        f"{folder}/package.json": '{"name": "x"}' for folder in ("packages/a", "packages/b", "packages/a/deep", "site")
    }
    lock = _npm_lock(("", package), *((folder, {}) for folder in found))
    plan = plan_of({"package.json": json.dumps(package), "package-lock.json": lock, **files})
    assert [link.path for link in plan.layers[-1].links] == [
        "node_modules",
        *(f"{each}/node_modules" for each in found),
    ]
    assert {f"{each}/package.json" for each in found} <= set(plan.layers[0].files)


def test_a_workspace_that_the_lockfile_does_not_know_is_an_error() -> None:
    package = {"workspaces": ["a"], "scripts": {"start": "node x"}}
    files = {"package.json": json.dumps(package), "package-lock.json": _npm_lock(("", package)), "a/package.json": "{}"}
    assert (
        error_of(files, LockfileError)[0]
        == "package-lock.json does not match package.json: a/package.json is not in it."
    )


def test_archives_of_the_source_decide_the_layer_and_are_copied_as_they_are() -> None:
    package = {"dependencies": {"x": "file:vendor/x{1}.tgz", "y": "file:y"}, "scripts": {"start": "node x"}}
    lock = _npm_lock(("", package), ("y", {}))
    files = {
        "package.json": json.dumps(package),
        "package-lock.json": lock,
        "vendor/x{1}.tgz": "",
        "y/package.json": "{}",
    }
    layer = plan_of(files).layers[0]
    assert layer.inputs == ("vendor/x{1}.tgz",)
    assert layer.steps[0].argv[:4] == ("cp", "--parents", "--", "vendor/x{{1}}.tgz")


def test_where_the_pages_are_can_be_said() -> None:
    files = _app({"scripts": {"build": "x"}}, **{"trivet.toml": "[build]\noutput = './web/dist/'\n"})
    assert plan_of(files).layers[-1].steps[-1].argv[-1] == "web/dist"


def test_where_the_pages_are_means_nothing_to_an_app_with_a_server() -> None:
    files = _app({"scripts": {"start": "node x"}}, **{"trivet.toml": "[build]\noutput = 'dist'\n"})
    assert error_of(files, InvalidFile) == (
        "trivet.toml:2: output is for static files, and this is built as a node app.",
        'Remove it, or set builder = "static" beside it.',
    )


@pytest.mark.parametrize("output", ["''", "'/x'", "'../x'", "'.'", "3"])
def test_an_output_that_is_no_folder_of_the_app_is_an_error(output: str) -> None:
    message, hint = error_of(
        {**_app({"scripts": {"build": "x"}}), "trivet.toml": f"[build]\noutput = {output}\n"}, InvalidFile
    )
    assert message.startswith("trivet.toml:2: output must be a folder in the app's folder, not ")
    assert hint == 'Write it like this: output = "dist"'

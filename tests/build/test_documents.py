"""What lies beside every build, read by other programs than ours."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support.building import APP, Builder
from support.repository import Repository
from trivet.build import read_beside, remove_builds
from trivet.build.components import Component, installed
from trivet.build.sbom import write_sbom
from trivet.errors import BuildError
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.home import Home
from trivet.model.statement import read_byproducts, read_subjects

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PROCFILE = {"Procfile": "web: python3 -m http.server $PORT\n"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+")


def _read(builder: Builder, build: Build, document: BuildDocument) -> Any:
    return json.loads(read_beside(builder.home, APP, build.id, document))


def _check_sbom(text: str) -> Bom:
    """The document as the CycloneDX project's own library reads it, after its strict check against the schema."""
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    bom: Bom = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]  # made by a decorator
    bom.validate()
    return bom


def _check_provenance(statement: Any) -> None:
    """The rules of https://slsa.dev/spec/v1.0/provenance and https://github.com/in-toto/attestation, field by field."""
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"]
    names = [subject["name"] for subject in statement["subject"]]
    assert len(set(names)) == len(names)
    predicate = statement["predicate"]
    assert set(predicate) == {"buildDefinition", "runDetails"}
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    assert set(definition) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert URI.fullmatch(definition["buildType"])
    assert isinstance(definition["externalParameters"], dict)
    assert set(run) == {"builder", "metadata", "byproducts"}
    assert set(run["builder"]) == {"id", "version", "builderDependencies"}
    assert URI.fullmatch(run["builder"]["id"])
    assert all(isinstance(value, str) for value in run["builder"]["version"].values())
    assert set(run["metadata"]) == {"invocationId", "startedOn", "finishedOn"}
    assert RFC3339.fullmatch(run["metadata"]["startedOn"])
    assert RFC3339.fullmatch(run["metadata"]["finishedOn"])
    descriptors = (*definition["resolvedDependencies"], *run["builder"]["builderDependencies"], *run["byproducts"])
    for descriptor in (*statement["subject"], *descriptors):
        assert set(descriptor) <= {"uri", "digest", "name", "downloadLocation", "mediaType", "content", "annotations"}
        assert {"uri", "digest", "content"} & set(descriptor)
        assert URI.fullmatch(descriptor.get("uri", "a:b"))
        for algorithm, digest in descriptor["digest"].items():
            assert algorithm in {"sha256", "gitCommit", "gitTree"}
            assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest)


def test_every_build_has_its_documents(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    names = {path.name for path in builder.home.build(APP, build.id).iterdir()}
    assert names == {"build.json", "build.log", "timings.json", "sbom.json", "provenance.json", "bundle"}


def test_the_provenance_says_what_was_made_from_what(builder: Builder) -> None:
    build = builder.commit({**PROCFILE, "trivet.toml": '[build.environment]\nA = "1"\n'}).build
    statement = _read(builder, build, BuildDocument.PROVENANCE)
    _check_provenance(statement)
    folder = builder.home.build(APP, build.id)
    (layer,) = build.layers
    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == {
        "app": layer.digest,
        "build.json": hashlib.sha256((folder / "build.json").read_bytes()).hexdigest(),
    }
    definition = statement["predicate"]["buildDefinition"]
    parameters = definition["externalParameters"]
    assert (parameters["revision"], parameters["directory"]) == ("HEAD", "")
    assert parameters["settings"]["environment"] == {"A": "1"}
    assert set(definition["internalParameters"]["confinement"]) == {"seclusion", "landlock", "network"}
    assert definition["resolvedDependencies"] == [
        {"uri": f"git+file://{builder.repository.path}", "digest": {"gitCommit": build.source.commit}},
        {"name": "tree", "digest": {"gitTree": builder.repository.git("rev-parse", "HEAD^{tree}")}},
    ]
    for byproduct in statement["predicate"]["runDetails"]["byproducts"]:
        assert byproduct["digest"]["sha256"] == hashlib.sha256((folder / byproduct["name"]).read_bytes()).hexdigest()
    text = (folder / "provenance.json").read_text()
    assert read_subjects(text, name="x").keys() == {"app", "build.json"}
    assert read_byproducts(text, name="x").keys() == {"build.log", "sbom.json", "timings.json"}


def test_the_provenance_of_a_path_that_is_no_text_has_a_uri(home: Home, tmp_path: Path) -> None:
    builder = Builder(home, Repository(tmp_path / os.fsdecode(b"a shop\xff")))
    build = builder.commit(PROCFILE).build
    statement = _read(builder, build, BuildDocument.PROVENANCE)
    _check_provenance(statement)
    (source, _) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["uri"].endswith("/a%20shop%EF%BF%BD")


def test_every_step_has_its_time(builder: Builder) -> None:
    build = builder.commit({**PROCFILE, "trivet.toml": '[build]\ncommands = ["true"]\n'}).build
    timings = _read(builder, build, BuildDocument.TIMINGS)
    assert [(step["phase"], step["title"]) for step in timings["steps"]] == [
        (None, f"exporting {build.source.short} Change"),
        ("compile", "running true"),
    ]
    assert 0 < sum(step["duration_s"] for step in timings["steps"]) <= build.duration_s + 0.1


def test_an_app_without_packages_has_a_bill_of_materials_of_itself(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    bom = _check_sbom(read_beside(builder.home, APP, build.id, BuildDocument.SBOM))
    assert bom.metadata.component is not None
    assert (bom.metadata.component.name, bom.metadata.component.version) == ("shop", build.source.commit)
    assert not bom.components


def test_a_build_of_an_earlier_version_has_no_documents_to_show(builder: Builder) -> None:
    build = builder.commit(PROCFILE).build
    (builder.home.build(APP, build.id) / "sbom.json").unlink()
    with pytest.raises(BuildError) as caught:
        read_beside(builder.home, APP, build.id, BuildDocument.SBOM)
    assert caught.value.message == f"The build {build.id} has no sbom.json."


@pytest.mark.slow
@pytest.mark.fetches
def test_the_bill_of_materials_has_what_is_installed_and_what_needs_what(builder: Builder) -> None:
    shutil.copytree(EXAMPLES / "guestbook", builder.repository.path, dirs_exist_ok=True)
    build = builder.commit({}).build
    text = read_beside(builder.home, APP, build.id, BuildDocument.SBOM)
    bom = _check_sbom(text)
    packages = {each.name: each.version for each in bom.components if each.purl is not None}
    folder = next((builder.bundle(build) / "dependencies").glob("lib/*/site-packages"))
    listed = {path.name.removesuffix(".dist-info") for path in folder.glob("*.dist-info")}
    assert {f"{name}-{version}" for name, version in packages.items()} == listed
    (flask,) = (each for each in bom.components if each.name == "flask")
    (edge,) = (each for each in bom.dependencies if each.ref == flask.bom_ref)
    needed = {each.ref.value for each in edge.dependencies}
    assert {"werkzeug", "jinja2", "click"} <= {ref.partition("-")[0] for ref in needed if ref}
    assert "serialNumber" not in json.loads(text)
    assert "timestamp" not in json.loads(text)["metadata"]
    _check_provenance(statement := _read(builder, build, BuildDocument.PROVENANCE))
    tools = {tool["name"]: tool for tool in statement["predicate"]["runDetails"]["builder"]["builderDependencies"]}
    for name, program in build.tools.items():
        assert tools[name]["digest"]["sha256"] == hashlib.sha256(Path(program.path).read_bytes()).hexdigest()
        assert tools[name]["annotations"] == {"version": program.version}
    remove_builds(builder.home, APP)
    assert read_beside(builder.home, APP, builder.build().build.id, BuildDocument.SBOM) == text


@pytest.mark.slow
@pytest.mark.fetches
def test_packages_without_a_uv_lock_are_listed_as_they_are_installed(builder: Builder) -> None:
    shutil.copytree(EXAMPLES / "requirements", builder.repository.path, dirs_exist_ok=True)
    build = builder.commit({}).build
    bom = _check_sbom(read_beside(builder.home, APP, build.id, BuildDocument.SBOM))
    text = (EXAMPLES / "requirements" / "requirements.txt").read_text()
    wanted = set(re.findall(r"^([a-z0-9-]+==[\w.]+)", text, re.M))
    assert {f"{each.name.lower()}=={each.version}" for each in bom.components if each.purl is not None} == wanted


@pytest.mark.slow
@pytest.mark.fetches
def test_a_command_cannot_hide_a_package_from_the_bill_of_materials(builder: Builder) -> None:
    """Nor from those of later builds, which go by what was found in the layer once."""
    hide = "cd .. && cp -r $(readlink dependencies) other && chmod -R u+w other && rm dependencies && mv other dependencies"
    settings = f"[build]\ncommands = ['{hide}; rm -r dependencies/lib/*/site-packages/*.dist-info']\n"
    app = {"requirements.txt": "iniconfig==2.1.0\n", "Procfile": "web: python web.py\n", "web.py": ""}
    for files in ({**app, "trivet.toml": settings}, {"trivet.toml": None}):
        build = builder.commit(files).build
        sbom = _read(builder, build, BuildDocument.SBOM)
        assert "pkg:pypi/iniconfig@2.1.0" in [component.get("purl") for component in sbom["components"]]


def test_node_packages_are_found_where_npm_and_pnpm_put_them(tmp_path: Path, builder: Builder) -> None:
    def package(folder: str, **said: str) -> None:
        path = tmp_path / "node_modules" / folder / "package.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(said))

    package("express", name="express", version="5.1.0", license="MIT")
    package("express/node_modules/debug", name="debug", version="4.4.0")
    package("@hapi/hoek", name="@hapi/hoek", version="11.0.7")
    package(".pnpm/left-pad@1.3.0/node_modules/left-pad", name="left-pad", version="1.3.0")
    package("nameless")
    (tmp_path / "node_modules" / "left-pad").symlink_to(".pnpm/left-pad@1.3.0/node_modules/left-pad")
    found = installed(tmp_path)
    assert [component.purl for component in found] == [
        "pkg:npm/%40hapi/hoek@11.0.7",
        "pkg:npm/debug@4.4.0",
        "pkg:npm/express@5.1.0",
        "pkg:npm/left-pad@1.3.0",
    ]
    build = builder.commit(PROCFILE).build
    _check_sbom(write_sbom(build, found, {}))


def test_a_version_that_is_not_installed_is_not_listed_and_nothing_needs_it(builder: Builder) -> None:
    """The lockfile knows packages of other systems, and other versions; what is installed decides."""
    build = builder.commit(PROCFILE).build
    told = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"bom-ref": "root"}, "tools": [{"vendor": "x", "name": "uv", "version": "1"}]},
        "components": [
            {"type": "library", "bom-ref": "a-1", "name": "a", "version": "1", "purl": "pkg:pypi/a@1"},
            {"type": "library", "bom-ref": "b-2", "name": "b", "version": "2", "purl": "pkg:pypi/b@2"},
            {"type": "library", "bom-ref": "win-3", "name": "win", "version": "3", "purl": "pkg:pypi/win@3"},
        ],
        "dependencies": [
            {"ref": "root", "dependsOn": ["a-1", "win-3"]},
            {"ref": "a-1", "dependsOn": ["b-2", "win-3"]},
            {"ref": "win-3"},
        ],
    }
    packages = (Component("pypi", "A", "1"), Component("pypi", "b", "2.1+local"), Component("pypi", "c", "4", "MIT"))
    text = write_sbom(build, packages, told)
    _check_sbom(text)
    sbom = json.loads(text)
    assert [each["bom-ref"] for each in sbom["components"]] == ["a-1", "pkg:pypi/b@2.1%2Blocal", "pkg:pypi/c@4"]
    assert sbom["dependencies"] == [
        {"ref": "app", "dependsOn": ["a-1", "pkg:pypi/b@2.1%2Blocal", "pkg:pypi/c@4"]},
        {"ref": "a-1"},
        {"ref": "pkg:pypi/b@2.1%2Blocal"},
        {"ref": "pkg:pypi/c@4"},
    ]

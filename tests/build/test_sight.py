"""What a step is given to see and to know: tools and certificates, none of what lies around them, and no passwords."""

import json
import os
from pathlib import Path

import pytest

from support.building import WAYS, Builder
from trivet.build.environment import private_places, taken_files
from trivet.build.steps import declared
from trivet.build.toolbox import tool_folders
from trivet.errors import MachineError, StepFailed
from trivet.host.sandbox import Sandbox
from trivet.host.view import exposed, system_paths
from trivet.model.build import Program
from trivet.model.build_plan import Phase
from trivet.model.home import Home
from trivet.model.settings import parse_settings

pytestmark = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")


def _tells(*questions: str) -> dict[str, str | None]:
    commands = [f"({question}) 2>/dev/null || echo refused" for question in questions]
    return {"Procfile": "web: true\n", "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n"}


def test_a_tool_in_the_persons_folders_opens_what_belongs_to_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    local = tmp_path / ".local"
    for name in ("bin", "lib/node_modules", "share/keyrings", "state/trivet"):
        (local / name).mkdir(parents=True)
    home = local / "state" / "trivet"

    def shown(path: Path) -> tuple[Path, ...]:
        return tool_folders({"node": Program(str(path), "1")}, {}, home)

    assert shown(local / "bin" / "node") == (local / "bin" / "node", local / "lib")
    assert shown(tmp_path / "bin" / "node") == (tmp_path / "bin" / "node",)
    assert shown(tmp_path / "node-22" / "bin" / "node") == (tmp_path / "node-22",)
    assert shown(Path("/usr/bin/node")) == ()


def test_of_uv_it_is_the_program_alone(builder: Builder) -> None:
    confinement = tool_folders({"uv": Program("/srv/shop/.venv/bin/uv", "1")}, {}, builder.home.root)
    assert Path("/srv/shop/.venv/bin/uv") in confinement
    assert Path("/srv/shop/.venv") not in confinement


def test_a_folder_of_certificates_that_holds_the_home_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "certificates").mkdir()
    (tmp_path / "home").mkdir()
    caller = {"SSL_CERT_DIR": f"{tmp_path}/certificates:{tmp_path}", "SSL_CERT_FILE": str(tmp_path / "gone.pem")}
    private = private_places(caller, tmp_path / "home")
    assert taken_files(caller, Phase.COMPILE, private) == (tmp_path / "certificates",)


def test_a_home_in_what_every_build_may_read_is_refused(builder: Builder) -> None:
    builder.home = Home(Path("/usr/local/lib/trivet"))
    with pytest.raises(MachineError) as caught:
        builder.commit(_tells("true"))
    assert caught.value.message == "Trivet's home /usr/local/lib/trivet lies in /usr, which every build may read."
    assert caught.value.hint == "Move it, for example to /var/lib/trivet, and set TRIVET_HOME."


def test_no_private_place_of_anybody_is_in_sight() -> None:
    assert exposed((Path("/root"), Path("/home"), Path("/var/lib/trivet"), Path("/etc/shadow"), Path("/run"))) is None
    names = {str(path) for path in system_paths()}
    assert names.isdisjoint({"/etc", "/etc/ssl", "/etc/ssl/private", "/etc/pki", "/etc/npmrc", "/etc/pip.conf"})


def test_an_address_of_a_proxy_reaches_only_steps_that_have_the_network(builder: Builder) -> None:
    builder.caller = {**os.environ, "HTTPS_PROXY": "http://ada:canary@127.0.0.1:1", "https_proxy": "http://a:canary@b"}
    builder.commit(_tells("env | grep canary", "env | grep -i https_proxy"))
    assert builder.told.lines == ["refused"] * 2


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "GIT_SSH_COMMAND", "UV_CACHE_DIR", "NODE_OPTIONS"])
def test_a_variable_of_the_app_that_could_run_its_code_is_kept_from_what_fetches(name: str) -> None:
    settings = parse_settings(f'[build.environment]\n{name} = "mine"\nUV_INDEX_URL = "https://example.org/simple"\n')
    assert declared(settings, Phase.FETCH) == {"UV_INDEX_URL": "https://example.org/simple"}
    assert declared(settings, Phase.COMPILE)[name] == "mine"


def test_a_program_of_the_app_is_not_run_by_what_fetches(builder: Builder) -> None:
    """uv starts git for this requirement, and git would start what the app names."""
    with pytest.raises(StepFailed) as caught:
        builder.commit(
            {
                "Procfile": "web: true\n",
                "requirements.txt": "x @ git+ssh://git@127.0.0.1/none\n",
                "trivet.toml": '[build.environment]\nGIT_SSH_COMMAND = "touch /tmp/owned; echo owned >&2; false"\n',
            }
        )
    assert "owned" not in "\n".join(caught.value.detail)


@pytest.mark.parametrize("way", WAYS)
def test_what_fetches_reads_no_file_of_the_machine_for_the_app(builder: Builder, tmp_path: Path, way: str) -> None:
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / "constraints.txt").write_text("canary==1\n")
    builder.caller = {**builder.caller, "TRIVET_SECLUSION": way}
    with pytest.raises(StepFailed) as caught:
        builder.commit(
            {"Procfile": "web: true\n", "requirements.txt": f"--requirement {tmp_path}/person/constraints.txt\n"}
        )
    assert "canary" not in "\n".join((*caught.value.detail, *builder.told.lines))

"""The conventions of the command line: what is for programs, what is for people, and what a pipe gets."""

import json
import subprocess
from pathlib import Path

import pytest

import trivet as package
from support.apps import SERVER, shop
from support.command import DEADLINE_S, Trivet, eventually, own_port
from support.repository import Repository


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A deployed shop."""
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy")
    return trivet


@pytest.mark.parametrize(
    "arguments",
    [
        ("releases",),
        ("releases", "show", "v1"),
        ("releases", "diff", "v1", "v1"),
        ("releases", "verify"),
        ("builds",),
        ("config",),
        ("ps",),
        ("ps", "--all"),
        ("apps",),
        ("scale",),
        ("plan",),
        ("config", "set", "A=1", "--plan"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_what_is_shown_can_be_had_as_json(deployed: Trivet, arguments: tuple[str, ...]) -> None:
    json.loads(deployed.ok(*arguments, "--json").out)


def test_a_pipe_gets_no_colour_unless_forced(deployed: Trivet) -> None:
    assert "\x1b[" not in deployed.ok("releases").out + deployed.ok("doctor").out
    deployed.environment["FORCE_COLOR"] = "1"
    assert "\x1b[" in deployed.ok("releases").out
    deployed.environment["NO_COLOR"] = "1"
    assert "\x1b[" not in deployed.ok("releases").out


def test_quiet_says_the_result_only(deployed: Trivet) -> None:
    done = deployed.ok("deploy", "--quiet")
    assert done.err == ""
    assert done.out.startswith("shop/production v2 is live at http://127.0.0.1:")


def test_verbose_shows_what_the_apps_commands_write(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**shop("v1"), "trivet.toml": 'app = "shop"\n[build]\ncommands = ["echo compiling assets"]\n'})
    assert "| compiling assets" in trivet.ok("build", "--verbose").err
    assert "| compiling assets" not in trivet.ok("build", "--rebuild").err
    (build,) = trivet.ok("builds", "--json").json()
    assert "compiling assets" in trivet.ok("builds", "log", build["id"]).out


def test_values_are_masked_unless_asked_for(deployed: Trivet) -> None:
    deployed.ok("config", "set", "TOKEN=-", "EMPTY=", input="s3cret\nsecond line\n")
    for arguments in (("config",), ("config", "--json"), ("releases", "show", "v2"), ("releases", "diff", "v1", "v2")):
        done = deployed.ok(*arguments)
        assert "TOKEN" in done.out
        assert "s3cret" not in done.out + done.err
    unmarked = {"secret": False, "live": False}
    assert deployed.ok("config", "--reveal", "--json").json() == {
        "EMPTY": {"value": "", **unmarked},
        "TOKEN": {"value": "s3cret\nsecond line", **unmarked},
    }
    assert deployed.ok("config", "get", "TOKEN").out == "s3cret\nsecond line\n"
    assert deployed.ok("run", "printenv", "TOKEN").out == "s3cret\nsecond line\n"


def test_many_keys_and_a_file_are_one_release(deployed: Trivet, repository: Repository) -> None:
    repository.write({"production.env": "# theirs\nexport A=1\nB='two words'\nC=\"x\\ny\"\nD=${A}\n"})
    deployed.ok("config", "set", "--file", "production.env", "A=2", "E=5")
    listed = deployed.ok("config", "--reveal", "--json").json()
    assert {key: each["value"] for key, each in listed.items()} == {
        "A": "2",
        "B": "two words",
        "C": "x\ny",
        "D": "${A}",
        "E": "5",
    }
    assert len(deployed.ok("releases", "--json").json()) == 2
    assert "config     c1 (added A, B, C, D, E)\n" in deployed.ok("releases", "show", "v2").out


def test_config_may_be_set_before_the_first_deploy(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    done = trivet.ok("config", "set", "GREETING=early")
    assert done.out == "shop/production has no good release yet; its first deploy will use this config\n"
    trivet.ok("deploy")
    assert trivet.ok("run", "printenv", "GREETING").out == "early\n"


def test_logs_into_a_pipe_that_closes_end_without_a_traceback(deployed: Trivet) -> None:
    with deployed.start("logs", "--follow") as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert "serving" in command.stdout.readline()
        command.stdout.close()
        deployed.ok("restart")
        assert command.wait(DEADLINE_S) == 1
        assert command.stderr.read() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_completion_script(trivet: Trivet, shell: str) -> None:
    assert "_TRIVET_COMPLETE" in trivet.ok("completion", shell).out


def test_bash_accepts_its_completion_script(trivet: Trivet, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(trivet.ok("completion", "bash").out)
    subprocess.run(("bash", "-n", script), check=True)


def test_the_version_is_the_packages(trivet: Trivet) -> None:
    assert trivet.ok("--version").out == f"trivet, version {package.__version__}\n"


def test_the_supervisor_in_the_foreground_ends_what_it_runs_when_told(deployed: Trivet) -> None:
    deployed.ok("deploy", "--port", own_port())
    deployed.ok("down")
    with deployed.start("up", "--foreground") as supervisor:
        eventually(lambda: deployed.ok("ps").err == "", what="the supervisor")
        assert set(deployed.pids()) == {"web.1"}
        supervisor.terminate()
        assert supervisor.wait(DEADLINE_S) == 0
    assert deployed.processes() == []


def test_no_line_of_the_help_is_cut(trivet: Trivet) -> None:
    assert "..." not in trivet.ok("--help").out.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("nosuch",), "No such command 'nosuch'.", "`trivet --help` shows how, with examples."),
        (("deploy", "--nosuch"), "No such option '--nosuch'.", "`trivet deploy --help` shows how, with examples."),
        (
            ("rollback", "yesterday"),
            "Invalid value for '[vN]': 'yesterday' is not a release. Write v3 or 3; `trivet releases` lists them.",
            "`trivet rollback --help` shows how, with examples.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_that_is_typed_wrong_is_told_like_any_mistake(
    trivet: Trivet, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = trivet.run(*arguments)
    assert (done.status, done.out, done.err) == (2, "", f"error: {message}\nhint:  {hint}\n")


def test_a_relative_home_is_refused(trivet: Trivet) -> None:
    trivet.environment["TRIVET_HOME"] = "here"
    done = trivet.run("apps")
    assert done.status == 2
    assert done.err == (
        "error: TRIVET_HOME is 'here', which means another folder wherever a command is typed.\n"
        "hint:  Give it an absolute path.\n"
    )


def test_a_result_that_cannot_be_written_is_an_error(deployed: Trivet) -> None:
    with Path("/dev/full").open("w") as full, deployed.start("releases", stdout=full) as command:
        _, err = command.communicate()
    assert command.returncode == 50
    assert "Traceback" not in err
    assert "the disk is full" in err


def test_a_file_that_somebody_is_editing_locks_nobody_out(deployed: Trivet, repository: Repository) -> None:
    for text in ('app = "shop"\n[oops\n', 'app = "shop"\n[deploys.production]\nport = 99999\n', "[[[[\n"):
        repository.write({"trivet.toml": text})
        assert deployed.ok("ps", "--json").json()[0]["app"] == "shop"


def test_what_others_wrote_cannot_command_the_terminal(trivet: Trivet, repository: Repository) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07\u009b2J\u202e"
    procfile = f"web: python3 server.py {hostile}\n"
    repository.commit(
        shop("v1", web=f"print({hostile!r}, flush=True)\n" + SERVER, procfile=procfile, settings=""),
        f"Subject {hostile}",
    )
    said = ""
    for arguments in (
        ("deploy", "-v"),
        ("releases",),
        ("releases", "show", "v1"),
        ("apps",),
        ("builds",),
        ("logs",),
        ("ps",),
    ):
        done = trivet.ok(*arguments)
        said += done.out + done.err
    assert "Subject" in said
    for character in "\x1b\x07\u009b\u202e":
        assert character not in said


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ps", "-d", ""), {"production", "staging"}),
        (("ps", "-a", "s"), {"shop"}),
        (("rollback", ""), {"v2", "v1"}),
        (("config", "unset", ""), {"GREETING"}),
        (("scale", ""), {"web=1", "worker=0"}),
        (("restart", "w"), {"web", "worker"}),
        (("promote", "st"), {"staging"}),
        (("plan", "-d", "s"), {"staging"}),
        (("promote", "-a", "nosuch", ""), set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_tab_offers_what_there_is(deployed: Trivet, words: tuple[str, ...], offered: set[str]) -> None:
    deployed.ok("config", "set", "GREETING=hello")
    deployed.ok("promote", "production", "staging")
    typed = " ".join(("trivet", *words))
    asked = {"_TRIVET_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words))}
    lines = Trivet(deployed.home, deployed.folder, asked).run().out.split()
    assert {line.removeprefix("plain,") for line in lines if line.startswith("plain,")} == offered

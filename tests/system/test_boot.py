"""`trivet host install`: what an init system is given, and a machine with systemd as init that is really started with it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Trivet, eventually
from support.machine import Disk, Machine, disk
from support.repository import Repository
from support.world import SERVER

needs_systemd = pytest.mark.skipif(
    not Path("/lib/systemd/systemd").exists(), reason="no systemd here; CI installs it: scripts/toolchains"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a machine of namespaces; CI runs as root")
needs_openrc = pytest.mark.skipif(
    not Path("/sbin/openrc-run").exists(), reason="no OpenRC here; CI installs it: scripts/toolchains"
)


@needs_systemd
@pytest.mark.parametrize("whose", ["--system", "--user"])
@pytest.mark.parametrize("home", ["home", 'a "home" of $PATH and 100%i'])
def test_systemd_finds_nothing_wrong_with_the_unit(trivet: Trivet, tmp_path: Path, whose: str, home: str) -> None:
    trivet.environment["TRIVET_HOME"] = str(tmp_path / home)
    shown = trivet.ok("host", "install", whose, "--init", "systemd", "--print").out
    unit = tmp_path / "trivet.service"
    unit.write_text(shown)
    manager = ("--user",) if whose == "--user" else ()
    done = subprocess.run(
        ("systemd-analyze", *manager, "--man=no", "--recursive-errors=no", "verify", unit),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wanted = "default.target" if manager else "multi-user.target"
    assert f"WantedBy={wanted}\n" in shown
    assert "KillMode=process\n" in shown


def test_the_openrc_script_is_a_script(trivet: Trivet, tmp_path: Path) -> None:
    trivet.environment["TRIVET_HOME"] = str(tmp_path / "it's home")
    shown = trivet.ok("host", "install", "--system", "--init", "openrc", "--print").out
    done = subprocess.run(
        ("sh", "-euc", f'{shown}\nprintf "%s|%s|%s" "$supervisor" "$command_args" "$TRIVET_HOME"'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"supervise-daemon|up --foreground|{tmp_path}/it's home"


@pytest.fixture
def machine_disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "disk").mkdir()
    with disk(tmp_path / "disk") as found:
        yield found


@needs_systemd
@needs_root
def test_a_machine_with_systemd_brings_the_app_back(machine_disk: Disk, repository: Repository) -> None:
    repository.commit(
        {"Procfile": "web: exec python3 -I -S server.py\n", "server.py": SERVER, "trivet.toml": 'app = "shop"\n'}
    )
    with machine_disk.switched_on() as machine:
        installed = machine.do("trivet", "host", "install", "--now")
        assert (installed.returncode, installed.stderr) == (0, "")
        assert installed.stdout == (
            "wrote /etc/systemd/system/trivet.service\nsystemd starts it at every boot, and has started it now\n"
        )
        assert machine.do("trivet", "host", "install").stdout.startswith("already there: /etc/systemd/system/")
        eventually(lambda: "running" in machine.do("trivet", "doctor").stdout)
        deployed = machine.do("trivet", "deploy", folder=str(repository.path))
        assert deployed.returncode == 0, deployed.stderr
        assert _answer(machine) == "VERSION - v1"

        web, supervisor = _web(machine), _main_pid(machine)
        machine.do("kill", "-KILL", supervisor)
        eventually(lambda: _main_pid(machine) not in ("0", supervisor))
        eventually(lambda: _answer(machine) == "VERSION - v1")
        assert _web(machine) == web, "the app was not to be started again"

    with machine_disk.switched_on() as machine:  # the power had failed
        eventually(lambda: _answer(machine) == "VERSION - v1")

        assert machine.do("systemctl", "stop", "trivet").returncode == 0
        assert _answer(machine) == ""
        assert machine.do("pgrep", "-f", "server.py").stdout == ""
        assert machine.do("systemctl", "start", "trivet").returncode == 0
        eventually(lambda: _answer(machine) == "VERSION - v1")

        removed = machine.do("trivet", "host", "uninstall")
        assert (removed.returncode, removed.stdout) == (0, "removed /etc/systemd/system/trivet.service\n")
        assert _answer(machine) == ""
        assert machine.do("trivet", "host", "uninstall").stdout == "there is no /etc/systemd/system/trivet.service\n"


@needs_openrc
@needs_root
def test_openrc_starts_it_and_ends_it(tmp_path: Path, trivet: Trivet) -> None:
    script = trivet.ok("host", "install", "--init", "openrc", "--print").out
    (tmp_path / "trivet").write_text(script)
    done = _with_openrc(f"""
        install -m 755 {tmp_path}/trivet /etc/init.d/trivet
        rc-service --nodeps trivet start
        rc-service --nodeps trivet status
        find() {{ pgrep -f '[r]un/__main__.py {trivet.home}( |$)' || true; }}
        await() {{ for again in $(seq 300); do "$@" && return; sleep 0.1; done; return 1; }}
        started() {{ other=$(find); [ -n "$other" ] && [ "$other" != "$supervisor" ]; }}
        supervisor=
        await started
        supervisor=$other
        kill -KILL $supervisor
        await started
        echo "started again"
        rc-service --nodeps trivet stop
        [ -z "$(find)" ] && echo "ended"
    """)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "status: started" in done.stdout
    assert done.stdout.endswith("ended\n")
    assert "started again\n" in done.stdout


@needs_openrc
@needs_root
@pytest.mark.parametrize("enabled", [False, True], ids=["written", "enabled"])
def test_openrc_forgets_it_enabled_or_not(trivet: Trivet, enabled: bool) -> None:
    done = _with_openrc(
        f"""
        {sys.executable} -m trivet host install 2>/dev/null
        {"rc-update add trivet default >/dev/null" if enabled else ":"}
        {sys.executable} -m trivet host uninstall
        ls /etc/init.d /etc/runlevels/default
    """,
        TRIVET_HOME=str(trivet.home),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == "wrote /etc/init.d/trivet\nremoved /etc/init.d/trivet\n/etc/init.d:\n\n/etc/runlevels/default:\n"
    )


def _with_openrc(steps: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """OpenRC's folders are its own, in namespaces of this test; what it starts cannot outlive them."""
    made = """
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir -p /run/lock /run/openrc/{starting,started,stopping,inactive,failed,daemons,options,exclusive,tmp}
        touch /run/openrc/softlevel
        mount -t tmpfs -o mode=755 tmpfs /etc/init.d
        mount -t tmpfs -o mode=755 tmpfs /etc/runlevels
        mkdir /etc/runlevels/default
    """
    return subprocess.run(
        ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "bash", "-euc", made + steps),
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@needs_root
def test_without_an_init_system_it_says_what_to_do(trivet: Trivet) -> None:
    done = _hidden_run(trivet, "host", "install")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: Neither systemd nor OpenRC runs on this machine.\n"
        "hint:  Let what starts it run `trivet up`, cron for example: crontab -e, then `@reboot trivet up`. "
        "To write a service for another machine: trivet host install --init systemd --print\n"
    )


def test_a_service_that_somebody_else_wrote_is_left_alone(trivet: Trivet, tmp_path: Path) -> None:
    trivet.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    unit = tmp_path / "config" / "systemd" / "user" / "trivet.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    arguments = ("host", "install", "--user", "--init", "systemd")
    done = trivet.run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"error: {unit} is there already, and `trivet host install` did not write it.\n"
        "hint:  Look at it first. `trivet host install --force` writes over it.\n"
    )
    assert trivet.run("host", "uninstall", "--user", "--init", "systemd").status == 2
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    done = trivet.ok(*arguments, "--force")
    assert done.out == f"wrote {unit}\n"
    assert done.err == (
        "To start it now and at every boot:\n"
        "  systemctl --user daemon-reload\n"
        "  systemctl --user enable --now trivet.service\n"
        "  loginctl enable-linger\n"
    )
    told = json.loads(trivet.ok(*arguments, "--json").out)
    assert told == {"init": "systemd", "path": str(unit), "changed": False, "enabled": False}


def test_openrc_has_no_services_of_a_user(trivet: Trivet) -> None:
    done = trivet.run("host", "install", "--user", "--init", "openrc")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: OpenRC starts services for the machine only, not for one user.\n"
        "hint:  As root: trivet host install. As a user, let cron do it: crontab -e, then `@reboot trivet up`.\n"
    )


def _hidden_run(trivet: Trivet, *arguments: str) -> "subprocess.CompletedProcess[str]":
    hide = 'mount --make-rprivate /; mount -t tmpfs tmpfs /run; exec "$@"'
    return subprocess.run(
        ("unshare", "--mount", "sh", "-euc", hide, "hide", sys.executable, "-m", "trivet", *arguments),
        env=trivet.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _answer(machine: Machine) -> str:
    return machine.do("curl", "--silent", "--max-time", "60", "http://127.0.0.1:8000/").stdout.strip()


def _web(machine: Machine) -> str:
    (process,) = json.loads(machine.do("trivet", "ps", "-a", "shop", "--json").stdout)
    return str(process["pid"])


def _main_pid(machine: Machine) -> str:
    return machine.do("systemctl", "show", "--property=MainPID", "--value", "trivet").stdout.strip()

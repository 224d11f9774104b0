"""Release + config + formation → run plan."""

from dataclasses import replace
from pathlib import Path

from run.shop import Shop
from trivet.model.config import Config
from trivet.model.declaration import Declaration
from trivet.model.formation import Formation
from trivet.model.process import ProcessType
from trivet.run import users
from trivet.run.plan import plan, process_environment, release_environment, socket_variables
from trivet.run.released import read_environment, read_release


def test_a_plan_holds_every_process_of_the_formation_in_the_procfiles_order(quiet_shop: Shop) -> None:
    types = tuple(ProcessType(name, "true") for name in ("release", "web", "clock", "worker"))
    release = read_release(quiet_shop.home, quiet_shop.deploy, quiet_shop.release(1, {}, types))
    config = read_environment(quiet_shop.home, quiet_shop.deploy, 1)
    made = plan(quiet_shop.home, release, config, Formation({"worker": 2}))
    assert [process.name for process in made.processes] == ["web.1", "worker.1", "worker.2"]
    assert [process.has_port for process in made.processes] == [True, False, False]
    assert made.has_ports


def test_a_program_that_takes_its_shells_place_is_signalled_alone(quiet_shop: Shop) -> None:
    types = (ProcessType("web", "node x.js"), ProcessType("worker", "cd x && node y.js"))
    release = read_release(quiet_shop.home, quiet_shop.deploy, quiet_shop.release(1, {}, types))
    config = read_environment(quiet_shop.home, quiet_shop.deploy, 1)
    web, worker = plan(quiet_shop.home, release, config, Formation({"worker": 1})).processes
    assert (web.argv, web.ends_as_group) == (("/bin/sh", "-c", "exec node x.js"), False)
    assert (worker.argv, worker.ends_as_group) == (("/bin/sh", "-c", "cd x && node y.js"), True)


def test_an_environment_is_config_build_and_what_trivet_sets(quiet_shop: Shop) -> None:
    release = read_release(quiet_shop.home, quiet_shop.deploy, quiet_shop.release(1, {}, {"web": "true"}))
    config = Config({"GREETING": "hello", "LANG": "de_DE.UTF-8", "BUNDLE": "mine"})
    bundle = str(quiet_shop.home.bundle(quiet_shop.deploy.app, release.build.id))
    shared = release_environment(quiet_shop.home, release, config)
    assert process_environment(shared, "web.1", Path("/tmp/x"), 20001) == {
        "LANG": "de_DE.UTF-8",
        "GREETING": "hello",
        "BUNDLE": bundle,
        "PATH": f"{bundle}/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TRIVET_APP": "shop",
        "TRIVET_DEPLOY": "production",
        "TRIVET_RELEASE": "v1",
        "TRIVET_COMMIT": "c" * 40,
        "TRIVET_STORAGE": str(quiet_shop.home.storage(quiet_shop.deploy)),
        "TRIVET_PROCESS": "web.1",
        "TMPDIR": "/tmp/x",
        "HOME": "/tmp/x",
        "PORT": "20001",
    }
    assert "PORT" not in process_environment(shared, "worker.1", Path("/tmp/x"), None)


def test_nothing_of_the_callers_environment_reaches_a_process(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    names = {line.partition("=")[0] for line in shop.fetch("/environment").splitlines()}
    expected = "BUNDLE HOME LANG PATH PORT PWD TMPDIR TRIVET_APP TRIVET_COMMIT TRIVET_DEPLOY TRIVET_PROCESS "
    who = {"USER", "LOGNAME"} if users.are_kept_apart() else set()
    assert names - {"LC_CTYPE"} == {*expected.split(), *who, "TRIVET_RELEASE", "TRIVET_STORAGE", "TRIVET_SOCKET"}


def test_a_socket_whose_path_the_kernel_does_not_take_is_not_offered() -> None:
    fits = Path("/" + "x" * 97)
    assert socket_variables(fits) == {"TRIVET_SOCKET": f"{fits}/web.sock"}
    assert len(f"{fits}/web.sock") == 107
    assert socket_variables(Path("/" + "x" * 98)) == {}


def test_a_default_stands_where_the_config_says_nothing(quiet_shop: Shop) -> None:
    release = read_release(quiet_shop.home, quiet_shop.deploy, quiet_shop.release(1, {}, {"web": "true"}))
    declared = (
        Declaration("WORKERS", default="4"),
        Declaration("REGION", default="eu"),
        Declaration("BUNDLE", default="x"),
    )
    release = replace(release, build=replace(release.build, declarations=declared))
    environment = release_environment(quiet_shop.home, release, Config({"REGION": "us"}))
    assert (environment["WORKERS"], environment["REGION"]) == ("4", "us")
    assert environment["BUNDLE"] == str(quiet_shop.home.bundle(quiet_shop.deploy.app, release.build.id))

"""Where Trivet is root each app is a user of its own, for good; and what of the machine apps may use besides their own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from run.shop import WEB, Shop
from trivet.errors import MachineError
from trivet.host import user
from trivet.host.sandbox import Sandbox
from trivet.host.sight import paths_in_sight, private_home
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.model.output import Part
from trivet.run import Call, Machine, enclosure, users

as_root = pytest.mark.skipif(not users.are_kept_apart(), reason="only root has users of its own for apps")
needs_landlock = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
FIRST = user.usable().start


def _ran(shop: Shop, command: str) -> tuple[bool, list[str]]:
    """How the command ended as a release command, and what it wrote."""
    number = max((int(path.name[1:]) for path in shop.home.releases(shop.deploy).glob("v*")), default=0) + 1
    shop.release(number, {"any": ""}, {"release": command})
    lines: list[str] = []
    ran = shop.machine.run_part(shop.deploy, number, Call(Part.RELEASE), lines.append)
    assert ran is not None
    return ran.output.is_good, lines


@as_root
def test_an_app_is_nobody_but_itself(quiet_shop: Shop) -> None:
    blog = quiet_shop.beside("blog")
    for shop, number in ((quiet_shop, FIRST), (blog, FIRST + 1), (quiet_shop, FIRST)):
        _, lines = _ran(shop, "id -u; id -g; id -G; echo $USER $LOGNAME; touch $TRIVET_STORAGE/$TRIVET_RELEASE")
        name = f"trivet-{shop.deploy.app}"
        assert lines == [str(number)] * 3 + [f"{name} {name}"]
        storage = shop.home.storage(shop.deploy)
        assert {path.stat().st_uid for path in (storage, *storage.iterdir())} == {number}
        assert storage.stat().st_mode & 0o777 == 0o700
    assert quiet_shop.home.users.stat().st_mode & 0o777 == 0o600


@as_root
def test_a_supervised_process_is_its_apps_user_and_so_is_what_takes_its_place(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    first = shop.pids()["v1.web.1"]
    shop.machine.restart(shop.deploy, "web")
    second = shop.pids()["v1.web.1"]
    assert first != second
    status = Path(f"/proc/{second}/status").read_text()
    assert f"Uid:\t{FIRST}\t{FIRST}\t{FIRST}\t{FIRST}\n" in status
    assert f"Gid:\t{FIRST}\t{FIRST}\t{FIRST}\t{FIRST}\n" in status
    assert "Groups:\t \n" in status


@as_root
def test_what_an_app_of_root_has_stored_becomes_its_own_and_nothing_else_does(quiet_shop: Shop, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("a person's")
    storage = quiet_shop.home.storage(quiet_shop.deploy)
    (storage / "a" / "b").mkdir(parents=True)
    (storage / "a" / "b" / "c").write_text("stored")
    (storage / "folder").symlink_to(outside)
    (storage / "file").symlink_to(outside / "file")
    (storage / "a").chmod(0o500)
    good, lines = _ran(quiet_shop, "cat $TRIVET_STORAGE/a/b/c; echo more >> $TRIVET_STORAGE/a/b/c")
    assert (good, lines) == (True, ["stored"])
    assert {path.lstat().st_uid for path in (storage, *storage.rglob("*"))} == {FIRST}
    assert {path.stat().st_uid for path in (outside, outside / "file")} == {0}
    assert (storage / "a").stat().st_mode & 0o777 == 0o500


@as_root
def test_a_number_is_never_given_again(quiet_shop: Shop) -> None:
    home = quiet_shop.home
    numbers = [users.user_of(home, AppName(name)).number for name in ("one", "two", "one")]
    assert numbers == [FIRST, FIRST + 1, FIRST]
    assert users.user_of(home, AppName("three")).number == FIRST + 2


@as_root
def test_a_lost_list_is_found_again_in_who_owns_what(quiet_shop: Shop) -> None:
    blog = quiet_shop.beside("blog")
    for shop in (quiet_shop, blog):
        _ran(shop, "true")
    quiet_shop.home.users.unlink()
    assert users.user_of(quiet_shop.home, AppName("new")).number == FIRST + 2
    assert users.user_of(quiet_shop.home, blog.deploy.app).number == FIRST + 1
    assert users.user_of(quiet_shop.home, quiet_shop.deploy.app).number == FIRST


@as_root
def test_a_list_that_cannot_be_read_is_told(quiet_shop: Shop) -> None:
    quiet_shop.home.supervisor.mkdir()
    quiet_shop.home.users.write_text("{}}")
    with pytest.raises(MachineError) as raised:
        _ran(quiet_shop, "true")
    assert raised.value.message.startswith("run/users.json cannot be read: it is not JSON")
    assert raised.value.hint == (
        f"Move {quiet_shop.home.users} away: the owners of the apps' storage folders tell who is whom."
    )


@as_root
def test_when_all_numbers_are_given_it_is_told(quiet_shop: Shop) -> None:
    quiet_shop.home.supervisor.mkdir()
    last = user.usable().stop - 1
    quiet_shop.home.users.write_text(json.dumps({"numbers": {"other": last}}))
    with pytest.raises(MachineError) as raised:
        _ran(quiet_shop, "true")
    assert raised.value.message == f"There is no user left for shop: all of {FIRST} to {last} were given to apps."
    assert raised.value.hint == "Make one: useradd --system --user-group trivet-shop"


@pytest.fixture
def named(quiet_shop: Shop) -> Iterator[tuple[Shop, int]]:
    """An app whose user the machine knows by name, and the number."""
    app = f"named-{os.getpid()}"
    name = users.name_of(AppName(app))
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd is None:
        pytest.skip("the machine has no useradd")
    argv = (useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
    subprocess.run(argv, check=True)
    try:
        found = user.find_by_name(name)
        assert found is not None
        yield quiet_shop.beside(app), found.number
    finally:
        subprocess.run(("/usr/sbin/userdel", name), check=True)


@as_root
def test_the_machines_user_of_that_name_is_the_app(named: tuple[Shop, int]) -> None:
    shop, number = named
    storage = shop.home.storage(shop.deploy)
    storage.mkdir(parents=True)
    os.chown(storage, FIRST, FIRST)  # it had a number alone until now
    good, lines = _ran(shop, "whoami; id -u; touch $TRIVET_STORAGE/file")
    assert (good, lines) == (True, [f"trivet-{shop.deploy.app}", str(number)])
    assert {path.stat().st_uid for path in (storage, storage / "file")} == {number}


def test_standard_error_can_be_opened_by_its_name(quiet_shop: Shop) -> None:
    good, lines = _ran(quiet_shop, "echo told > /dev/stderr; echo again >> /dev/stdout")
    assert (good, lines) == (True, ["told", "again"])


@needs_landlock
def test_an_app_reads_and_writes_what_the_machines_owner_lists(quiet_shop: Shop, tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    for folder in (shared, own):
        folder.mkdir()
        (folder / "file").write_text(f"{folder.name}\n")
        folder.chmod(0o777)
    command = f"cat {shared}/file {own}/file; touch {shared}/more || touch {own}/more"
    assert not _ran(quiet_shop, command)[0]
    home = quiet_shop.home
    with home.opened("readable", None).open("a") as file:
        file.write(f"# for all\n\n{shared}  # media\n{tmp_path}/nowhere\n")
    home.opened("writable", quiet_shop.deploy.app).write_text(f"{own}\n")
    good, lines = _ran(quiet_shop, command)
    assert good
    assert lines[:2] == ["shared", "own"]
    assert (own / "more").exists()
    assert not (shared / "more").exists()
    assert _ran(quiet_shop.beside("blog"), f"cat {shared}/file") == (True, ["shared"])
    assert not _ran(quiet_shop.beside("blog"), f"cat {own}/file")[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (lambda home: "srv/media", "is no absolute path"),
        (lambda home: str(home.root.parent), "holds all of Trivet's own"),
        (lambda home: str(home.root), "holds all of Trivet's own"),
    ],
)
def test_a_line_that_opens_too_much_or_nothing_is_told(quiet_shop: Shop, line: Callable[[Home], str], why: str) -> None:
    path, named_path = quiet_shop.home.opened("readable", quiet_shop.deploy.app), line(quiet_shop.home)
    path.parent.mkdir(parents=True)
    path.write_text(f"# first\n{named_path}\n")
    with pytest.raises(MachineError) as raised:
        _ran(quiet_shop, "true")
    assert raised.value.message == f"{path}:2: {named_path!r} {why}."
    assert raised.value.hint == "Name folders and files of the machine, one a line, that apps may use."


@pytest.fixture
def open_shop(quiet_shop: Shop) -> Iterator[Shop]:
    """A deploy of a home that others can reach; that of the tests lies in a folder that is closed to them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Home(Path(folder) / "home")
        home.root.mkdir()
        shutil.copy(quiet_shop.home.opened("readable", None), home.root)
        machine = Machine(home)
        yield replace(quiet_shop, home=home, machine=machine)
        machine.down()


@as_root
def test_a_home_that_others_can_reach_needs_no_power(quiet_shop: Shop, open_shop: Shop) -> None:
    assert enclosure.examine(quiet_shop.home).closed is not None
    assert _ran(quiet_shop, "grep CapEff /proc/self/status")[1] == ["CapEff:\t0000000000000004"]
    assert enclosure.examine(open_shop.home) == enclosure.Apartness(as_users=True, closed=None)
    open_shop.home.opened("readable", None).unlink()  # which names the tests' Python, wherever that lies
    assert _ran(open_shop, "grep CapEff /proc/self/status; ls $TRIVET_STORAGE")[1] == ["CapEff:\t0000000000000000"]


_IN_A_CONTAINER = ("setpriv", "--bounding-set=-sys_ptrace,-perfmon,-sys_admin,-dac_read_search")
_LOOK = """
import sys
import tempfile
from pathlib import Path
from trivet.host import processes
from trivet.model.home import Home
from trivet.run.supervisor import strays
for stray in strays.find(Home(Path(sys.argv[1]))):
    print(stray.release, stray.process, stray.listens(), bool(processes.listening_ports(processes.session_members(stray.pid))))
"""
_RUN = """
import sys
import tempfile
from pathlib import Path
from trivet.errors import MachineError
from trivet.model.home import Home
from trivet.model.names import parse_deploy
from trivet.run import Machine
try:
    Machine(Home(Path(sys.argv[1]))).run_once(parse_deploy("shop/production"), 1, ("true",), None)
except MachineError as error:
    print(error.message, error.hint, sep="\\n")
"""


def _in_a_container(code: str, home: Home) -> str:
    """What this printed, run by a root that has not all of its powers."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    argv = (*_IN_A_CONTAINER, sys.executable, "-c", code, str(home.root))
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout


@as_root
def test_access_says_the_same_as_open_below_a_closed_folder(quiet_shop: Shop) -> None:
    """Node's `existsSync` asks access(2), for which the kernel takes the power away that open(2) has."""
    assert enclosure.examine(quiet_shop.home).closed is not None
    code = (
        "import os; path = os.environ['TRIVET_STORAGE'] + '/file'; print(open(path).read(), os.access(path, os.R_OK))"
    )
    command = f'echo kept > $TRIVET_STORAGE/file; {SYSTEM_PYTHON} -I -S -c "{code}"'
    assert _ran(quiet_shop, command) == (True, ["kept", " True"])


@as_root
@needs_landlock
def test_what_lies_beside_a_home_in_the_system_is_in_sight_and_the_home_is_not(quiet_shop: Shop) -> None:
    with tempfile.TemporaryDirectory(dir="/opt") as folder:
        root = Path(folder)
        root.chmod(0o755)
        home = Home(root / "home")
        shop = replace(quiet_shop, home=home, machine=Machine(home))
        (root / "beside").write_text("seen\n")
        home.root.mkdir()
        (home.root / "secret").write_text("not seen\n")
        good, lines = _ran(shop, f"cat {root}/beside; ls {home.root} || cat {home.root}/secret")
        assert (good, lines[0]) == (False, "seen")
        assert "not seen" not in lines


def test_a_home_in_a_folder_of_the_system_keeps_that_in_sight() -> None:
    daemon = user.find_by_name("daemon")
    assert daemon is not None
    assert user.home_of(daemon.number) == Path("/usr/sbin")
    assert private_home(daemon.number) == ()
    assert private_home(os.geteuid()) in ((), (user.home_of(os.geteuid()),))
    assert Path("/usr") in paths_in_sight((Path("/srv/home"),), closed_too=False)


@as_root
def test_a_root_that_may_not_trace_finds_what_runs_all_the_same(open_shop: Shop) -> None:
    open_shop.home.opened("readable", None).unlink()
    open_shop.machine.up()
    open_shop.release(1, {"web.py": WEB}, {"web": f"exec {SYSTEM_PYTHON} -S -u web.py"})
    open_shop.ok(1)
    assert _in_a_container(_LOOK, open_shop.home) == "v1 web.1 True True\n"


@as_root
def test_a_closed_folder_on_the_way_is_told_if_no_power_leads_through(quiet_shop: Shop) -> None:
    quiet_shop.release(1, {"any": ""}, {"worker": "true"})
    closed = enclosure.examine(quiet_shop.home).closed
    assert _in_a_container(_RUN, quiet_shop.home).splitlines() == [
        f"The user of shop cannot go through {closed}, which is closed to others.",
        f"Let others pass (chmod o+x {closed}), or put what lies in there elsewhere.",
    ]

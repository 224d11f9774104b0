"""Code cannot be changed at run time: a hostile app tries, and the kernel refuses.

The ways are those of the study of stores (27 of them), and some more. What is allowed is listed with its reason.
"""

import errno
import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from run.shop import PYTHON, WEB, WORKER, Shop, wait_until
from trivet.errors import CannotSeal
from trivet.host import capabilities
from trivet.host.sandbox import Sandbox, check, describe
from trivet.model.output import Part
from trivet.model.process import ProcessType
from trivet.run import Call, users

ATTACKS = r"""
import ctypes, fcntl, json, mmap, os, resource, shutil, signal, socket, stat, subprocess, sys
APP = os.getcwd()
CODE = APP + "/code.py"
TMP, STORAGE = os.environ["TMPDIR"], os.environ["TRIVET_STORAGE"]
STORE = os.path.dirname(os.path.dirname(os.path.dirname(APP)))  # builds/
HOME = os.path.realpath(APP).split("/apps/")[0]
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
ATTACKS = {}

def attack(function):
    ATTACKS[function.__name__] = function
    return function

def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

def write(path, flags=os.O_WRONLY):
    descriptor = os.open(path, flags, 0o644)
    try:
        os.write(descriptor, b"# evil\n")
    finally:
        os.close(descriptor)

def evil():
    path = TMP + "/evil.py"
    with open(path, "w") as file:
        file.write("# evil\n")
    return path

@attack
def open_for_writing(): write(CODE)
@attack
def open_for_appending(): write(CODE, os.O_WRONLY | os.O_APPEND)
@attack
def open_and_truncate(): write(CODE, os.O_WRONLY | os.O_TRUNC)
@attack
def truncate_by_path(): os.truncate(CODE, 0)
@attack
def create_a_file(): write(APP + "/new.py", os.O_WRONLY | os.O_CREAT)
@attack
def create_in_pycache(): os.mkdir(APP + "/__pycache__")
@attack
def create_a_nameless_file(): write(APP, os.O_WRONLY | 0o20200000)
@attack
def unlink_code(): os.unlink(CODE)
@attack
def make_a_folder(): os.mkdir(APP + "/folder")
@attack
def remove_a_folder(): os.rmdir(APP + "/empty")
@attack
def symlink_inside(): os.symlink("/etc/passwd", APP + "/link")
@attack
def fifo_inside(): os.mkfifo(APP + "/fifo")
@attack
def socket_inside():
    os.chdir(APP)
    socket.socket(socket.AF_UNIX).bind("socket")
@attack
def rename_over_code(): os.rename(evil(), CODE)
@attack
def rename_within(): os.rename(CODE, APP + "/other.py")
@attack
def rename_code_away(): os.rename(CODE, TMP + "/code.py")
@attack
def rename_the_app_away(): os.rename(APP, APP + ".old")
@attack
def rename_the_build_away(): os.rename(STORE, TMP + "/builds")
@attack
def exchange(): checked(libc.renameat2(AT_FDCWD, evil().encode(), AT_FDCWD, CODE.encode(), 2))
@attack
def link_out_and_write():
    os.link(CODE, TMP + "/alias.py")
    write(TMP + "/alias.py")
@attack
def link_in(): os.link(evil(), APP + "/linked.py")
@attack
def chmod_then_write():
    os.chmod(CODE, 0o777)
    write(CODE)
@attack
def reopen_through_proc_fd():
    descriptor = os.open(CODE, os.O_RDONLY)
    write(f"/proc/self/fd/{descriptor}")
@attack
def write_through_proc_root(): write("/proc/self/root" + CODE)
@attack
def write_through_proc_cwd(): write("/proc/self/cwd/code.py")
@attack
def write_through_the_supervisors_root(): write(f"/proc/{os.getppid()}/root" + CODE)
@attack
def write_through_a_symlink():
    os.symlink(CODE, TMP + "/symlink")
    write(TMP + "/symlink")
@attack
def map_shared_and_writable():
    descriptor = os.open(CODE, os.O_RDONLY)
    mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0:1] = b"!"
@attack
def use_an_inherited_descriptor():
    used = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and HOME in os.path.realpath(f"/proc/self/fd/{fd}")]
    if not used:
        raise OSError(9, "none is open")
    os.ftruncate(int(used[0]), 0)
@attack
def bind_mount(): checked(libc.mount(TMP.encode(), APP.encode(), None, 4096, None))
@attack
def remount(): checked(libc.mount(None, b"/", None, 32 | 4096, None))
@attack
def mount_over(): checked(libc.mount(b"none", APP.encode(), b"tmpfs", 0, None))
@attack
def mount_over_in_a_user_namespace():
    child = os.fork()
    if child == 0:
        done = libc.unshare(0x10000000 | 0x00020000) == 0 == libc.mount(b"none", APP.encode(), b"tmpfs", 0, None)
        os._exit(0 if done else 1)
    if os.waitpid(child, 0)[1]:
        raise PermissionError(13, "refused")
@attack
def move_the_root(): checked(libc.syscall(155, TMP.encode(), TMP.encode()))
@attack
def clear_flags_then_write():
    descriptor = os.open(CODE, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, 0x40086602, b"\0" * 8)
    except OSError:
        pass
    write(CODE)
@attack
def make_a_disk_node():
    device = os.stat(CODE).st_dev
    os.mknod(TMP + "/disk", 0o600 | stat.S_IFBLK, device)
    write(TMP + "/disk")
@attack
def open_a_disk():
    disks = [f"/dev/{name}" for name in os.listdir("/dev") if stat.S_ISBLK(os.lstat(f"/dev/{name}").st_mode)]
    write(disks[0])
@attack
def write_the_kernels_settings(): write("/proc/sys/kernel/core_pattern")
@attack
def write_the_supervisors_memory(): os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR)
@attack
def trace_the_supervisor(): checked(libc.ptrace(16, os.getppid(), None, None))
@attack
def take_the_supervisors_descriptors():
    target = os.pidfd_open(os.getppid())
    checked(libc.syscall(438, target, 3, 0))
@attack
def from_a_child():
    done = subprocess.run(("/bin/sh", "-c", f"echo evil > {CODE}"), capture_output=True)
    if done.returncode:
        raise PermissionError(13, done.stderr.decode())
@attack
def from_a_daemon():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            try:
                write(CODE)
                os.write(writing, b"done")
            except OSError:
                pass
        os._exit(0)
    os.close(writing)
    if not os.read(reading, 4):
        raise PermissionError(13, "refused")
@attack
def change_the_release(): write(f"{HOME}/apps/shop/deploys/production/releases/v1/release.json")
@attack
def change_its_environment(): write(f"{HOME}/env/shop/production/v1.json")
@attack
def lead_its_environment_elsewhere(): os.rename(f"{HOME}/env", f"{HOME}/env.old")
@attack
def change_what_runs(): os.unlink(f"{HOME}/apps/shop/deploys/production/run/current")
@attack
def shorten_its_own_log(): os.truncate("/proc/self/fd/1", 0)
@attack
def shorten_its_own_log_by_its_descriptors():
    os.ftruncate(2, 0)
    os.ftruncate(1, 0)
@attack
def write_in_tmp(): write("/tmp/trivet-sealing", os.O_WRONLY | os.O_CREAT)
@attack
def write_in_another_apps_storage(): write(f"{HOME}/apps/blog/deploys/production/storage/x", os.O_WRONLY | os.O_CREAT)
@attack
def write_in_another_apps_temporary_folder():
    for name in os.listdir(HOME + "/tmp"):
        if HOME + "/tmp/" + name != TMP:
            write(f"{HOME}/tmp/{name}/x", os.O_WRONLY | os.O_CREAT)
@attack
def read_another_apps_environment(): open(f"/proc/{OTHER}/environ", "rb").read()
@attack
def read_its_siblings_environment(): open(f"/proc/{SIBLING}/environ", "rb").read()
@attack
def read_the_supervisors_environment(): open(f"/proc/{os.getppid()}/environ", "rb").read()
@attack
def signal_another_app(): os.kill(OTHER, 0)
@attack
def signal_its_sibling(): os.kill(SIBLING, 0)
@attack
def signal_the_supervisor(): os.kill(os.getppid(), 0)
@attack
def limit_another_app(): resource.prlimit(OTHER, resource.RLIMIT_CPU, resource.prlimit(OTHER, resource.RLIMIT_CPU))
@attack
def limit_its_sibling(): resource.prlimit(SIBLING, resource.RLIMIT_CPU, resource.prlimit(SIBLING, resource.RLIMIT_CPU))
@attack
def limit_the_supervisor(): resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))
@attack
def limit_the_supervisor_from_a_page_at_4_gb():
    checked(-1 if libc.mmap(ctypes.c_void_p(1 << 32), 4096, 3, 0x100022, -1, 0) == -1 else 0)
    ctypes.memmove(1 << 32, (ctypes.c_ulong * 2)(3, 3), 16)
    libc.syscall.argtypes = (ctypes.c_long,) + (ctypes.c_ulong,) * 4
    checked(libc.syscall(302 if os.uname().machine == "x86_64" else 261, os.getppid(), 7, 1 << 32, 0))
@attack
def command_the_supervisor():
    os.chdir(HOME + "/run")
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(5)
    control.connect("control.sock")
    control.sendall(b'{"do": "hello"}\n')
    if not control.recv(100):
        raise PermissionError(13, "it hung up")

OTHER, SIBLING = (int(word) for word in open(STORAGE + "/pids").read().split())
for name, function in ATTACKS.items():
    try:
        function()
        outcome = "done"
    except (OSError, ValueError, TypeError) as error:
        outcome = getattr(error, "errno", None) or str(error)
    os.chdir(APP)
    print(json.dumps([name, outcome]), flush=True)
print("finished", flush=True)
signal.pause()
"""

ALLOWED = r"""
import os, signal, socket
APP, TMP, STORAGE = os.getcwd(), os.environ["TMPDIR"], os.environ["TRIVET_STORAGE"]
for folder in (TMP, STORAGE, "/dev/shm"):
    base = f"{folder}/allowed-{os.getpid()}"
    os.makedirs(base + "/a/b")
    with open(base + "/a/b/c", "w") as file:
        file.write("x")
    with open(base + "/a/b/c", "r+") as file:
        file.truncate(0)
    os.rename(base + "/a/b/c", base + "/c")
    os.link(base + "/c", base + "/d")
    os.symlink("c", base + "/e")
    os.mkfifo(base + "/f")
    os.unlink(base + "/c")
    print("wrote in", folder.rpartition("/")[2] if folder == STORAGE else "a folder", flush=True)
os.rename(f"{TMP}/allowed-{os.getpid()}/d", f"{STORAGE}/moved")
os.chdir(TMP)
socket.socket(socket.AF_UNIX).bind("socket")
for device in ("null", "zero", "full", "random", "urandom"):
    os.close(os.open(f"/dev/{device}", os.O_RDWR if device != "full" else os.O_WRONLY))
os.system("rm -r /dev/shm/allowed-*; echo through the shell > /dev/null")
with open("/dev/stdout", "a") as file:
    file.write("through /dev/stdout\n")
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
import multiprocessing
with multiprocessing.Lock():
    print("locked", flush=True)
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, 9)
os.waitpid(child, 0)
print("own child signalled", flush=True)
for name, change in {
    "chmod": lambda: os.chmod(APP + "/code.py", 0o600),
    "utime": lambda: os.utime(APP + "/code.py", (0, 0)),
    "setxattr": lambda: os.setxattr(APP + "/code.py", "user.mark", b"x"),
}.items():
    try:
        change()
        print(name, "done", flush=True)
    except OSError as error:
        print(name, error.errno, flush=True)
print("finished", flush=True)
signal.pause()
"""

POWERS = r"""
import fcntl, json, os, signal, struct
TMP = os.environ["TMPDIR"]
def attempt(name, function):
    try:
        function()
        print(name, "done", flush=True)
    except OSError as error:
        print(name, error.strerror, flush=True)
def fix():
    with open(TMP + "/file", "w") as file:
        fcntl.ioctl(file, 0x40086602, struct.pack("l", 0x10))
def become_another():
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise OSError(1, "refused")
def look_for(word):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "mem"):
            try:
                if int(pid) != os.getpid() and word in open(f"/proc/{pid}/{name}", "rb").read(100000):
                    print("found in", pid, flush=True)
            except OSError:
                pass
attempt("chown", lambda: (open(TMP + "/file", "w").close(), os.chown(TMP + "/file", 65534, 65534)))
attempt("become another", become_another)
attempt("make immutable", fix)
attempt("hurry", lambda: os.nice(-1))
look_for(b"CANARY=" + b"sings")
for line in open("/proc/self/status"):
    if line.startswith("Cap"):
        print(line.split()[0], f"{int(line.split()[1], 16):x}", flush=True)
print("finished", flush=True)
signal.pause()
"""


def _own_powers() -> int:
    """Our effective capabilities; bit 0 is CHOWN."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


_OWNED = ("chmod done", "utime done", "setxattr done")
_METADATA = (
    (f"chmod {errno.EPERM}", f"utime {errno.EPERM}", f"setxattr {errno.EACCES}") if users.are_kept_apart() else _OWNED
)
needs_landlock = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")


def _tree(root: Path) -> dict[str, str]:
    """Every path beneath the root and what it holds."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else str(stat.S_IFMT(mode))
            found[str(path.relative_to(root))] = content
    return found


def _finished(shop: Shop) -> list[str]:
    wait_until(lambda: "finished\n" in shop.log("v1.worker.1") or "Traceback" in shop.log("v1.worker.1"))
    return shop.log("v1.worker.1").splitlines()


@pytest.fixture
def hostile(shop: Shop) -> Shop:
    """An app that has tried everything, beside another app and a sibling process."""
    other = shop.beside("blog")
    other.shop(1)
    other.ok(1)
    files = {"web.py": WEB, "attack.py": ATTACKS, "code.py": "print('honest')\n"}
    types = (ProcessType("web", f"{PYTHON} web.py"), ProcessType("worker", f"{PYTHON} attack.py", settle_s=0.1))
    shop.release(1, files, types)
    (shop.home.bundle(shop.deploy.app, f"{1:012x}") / "app" / "empty").mkdir()
    shop.ok(1)
    pids = (other.pids()["v1.web.1"], shop.pids()["v1.web.1"])
    (shop.home.storage(shop.deploy) / "pids").write_text(" ".join(map(str, pids)))
    return shop


@needs_landlock
def test_no_way_of_changing_code_or_reaching_others_succeeds(hostile: Shop) -> None:
    root = hostile.home.apps / "shop" / "builds"
    before = _tree(root)
    hostile.machine.scale(hostile.deploy, {"worker": 1})
    lines = _finished(hostile)
    outcomes: dict[str, Any] = dict(json.loads(line) for line in lines if line.startswith("["))
    assert lines[-1] == "finished", lines[-5:]
    assert len(outcomes) >= 50
    refusals = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EBADF, errno.EINVAL, errno.ECONNRESET, errno.EPIPE}
    assert {name: outcome for name, outcome in outcomes.items() if outcome == "done"} == _not_enforced_here()
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in {"done", *refusals}} == {}
    assert _tree(root) == before
    assert hostile.beside("blog").fetch().startswith("v1 ")
    assert hostile.fetch().startswith("v1 ")


def _not_enforced_here() -> dict[str, str]:
    """What this kernel's Landlock does not know how to refuse."""
    missing: list[str] = []
    if Sandbox().sealing.abi < 3:
        missing += ["truncate_by_path", "shorten_its_own_log", "shorten_its_own_log_by_its_descriptors"]
    if Sandbox().sealing.abi < 6:
        missing += ["signal_another_app", "signal_its_sibling", "signal_the_supervisor"]
    return dict.fromkeys(missing, "done")


@needs_landlock
def test_an_app_may_write_where_it_is_meant_to(shop: Shop) -> None:
    """Metadata of code can be changed by its owner: Landlock does not know these rights. No byte of code changes.

    Where apps are users of their own, they own none.
    """
    kind = ProcessType("worker", f"{sys.executable} -u w.py", settle_s=0.1)
    shop.release(1, {"w.py": ALLOWED, "code.py": "print('honest')\n"}, (kind,))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    assert _finished(shop)[:11] == [
        "wrote in a folder",
        "wrote in storage",
        "wrote in a folder",
        "through /dev/stdout",
        "locked",
        "own child signalled",
        *_METADATA,
        "finished",
    ]


@needs_landlock
@pytest.mark.skipif(not users.are_kept_apart(), reason="only root has powers to give up")
def test_an_app_has_none_of_roots_powers_but_to_reach_its_code_where_others_may_not(shop: Shop) -> None:
    """The tests' folder is closed to others, as `/root` is: the app goes through it by one power that is left to it."""
    other = shop.beside("blog")
    other.release(1, {"w.py": WORKER}, {"worker": f"{PYTHON} w.py"}, config={"CANARY": "sings"})
    other.ok(1)
    shop.release(1, {"w.py": POWERS}, (ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1),))
    shop.ok(1)
    for each in (other, shop):
        shop.machine.scale(each.deploy, {"worker": 1})
    bounding = sum(1 << number for number in (*capabilities.KEPT, 2)) & _own_powers()
    assert _finished(shop) == [
        "chown Operation not permitted",
        "become another refused",
        "make immutable Operation not permitted",
        "hurry Operation not permitted",
        "CapInh: 4",
        "CapPrm: 4",
        "CapEff: 4",
        f"CapBnd: {bounding:x}",
        "CapAmb: 4",
        "finished",
    ]


@needs_landlock
def test_a_one_off_is_sealed_as_well(shop: Shop) -> None:
    shop.release(1, {"code.py": "1\n"}, {"worker": "sleep 600"})
    assert shop.machine.run_once(shop.deploy, 1, ("echo evil 2>/dev/null > code.py",), None).status != 0
    assert (shop.home.bundle(shop.deploy.app, f"{1:012x}") / "app" / "code.py").read_text() == "1\n"


@needs_landlock
def test_the_release_command_is_sealed_as_well(shop: Shop) -> None:
    shop.release(1, {"code.py": "1\n"}, {"release": "echo evil > code.py"})
    ran = shop.machine.run_part(shop.deploy, 1, Call(Part.RELEASE), lambda _: None)
    assert ran is not None
    assert not ran.output.is_good
    assert "ermission denied" in ran.last[-1] or "annot create" in ran.last[-1]


def test_what_a_kernel_enforces_is_described_by_its_version() -> None:
    assert (describe(-1).level, describe(-1).is_there) == ("none", False)
    assert (describe(2).level, len(describe(2).missing)) == ("without truncate", 2)
    assert (describe(4).level, len(describe(4).missing)) == ("without signals", 1)
    assert (describe(6).level, describe(7).missing) == ("full", ())


def test_a_machine_that_cannot_seal_is_refused_unless_somebody_says_that_this_is_fine() -> None:
    with pytest.raises(CannotSeal) as raised:
        check(describe(-1), allow_mutable=False)
    assert raised.value.message == (
        "This machine's kernel cannot keep an app from changing its code: Landlock is not there."
    )
    assert raised.value.hint == (
        "Use Linux 5.13 or newer (6.2 for all of it) with landlock in the boot option lsm=, or set "
        "TRIVET_ALLOW_MUTABLE=1 for `trivet up` to run without that protection. `trivet doctor` shows the level."
    )
    check(describe(-1), allow_mutable=True)
    check(describe(1), allow_mutable=False)


def test_this_machines_level_is_told(shop: Shop) -> None:
    assert shop.machine.sealing() == Sandbox().sealing

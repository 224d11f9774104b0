"""Writing where it does not work, and leading others there."""

import os
import stat
from pathlib import Path

from attempts import HOME, PERSON, TARGETS, attempt


# Whether the file is there outside as well is for whoever looks from there to say.
def _write_in(folder: Path | str) -> str:
    path = Path(folder) / "hostile-was-here"
    path.write_text("owned\n")
    return f"file {path.resolve()}"


@attempt("write into the repository")
def write_repository() -> str:
    return _write_in(TARGETS["repository"])


@attempt("write a hook into the repository")
def write_hook() -> str:
    return _write_in(f"{TARGETS['repository']}/.git/hooks")


@attempt("write into the home of whoever builds")
def write_person() -> str:
    return _write_in(PERSON)


@attempt("write into `$TRIVET_HOME`")
def write_home() -> str:
    return _write_in(HOME)


@attempt("write into the stored layers")
def write_layers() -> str:
    return _write_in(HOME / "layers")


@attempt("write into another app's layer")
def write_layer() -> str:
    return _write_in(HOME / "layers/other")


@attempt("write into another app's cache")
def write_cache() -> str:
    return _write_in(HOME / "cache/other")


@attempt("write into the app's own cache from a command of the app")
def write_own_cache() -> str:
    return _write_in(HOME / "cache/shop")


@attempt("write into the scratch folder of another build")
def write_scratch() -> str:
    return _write_in(TARGETS["others_scratch"])


@attempt("write beside its own folders, where Trivet keeps the log and the record")
def write_beside() -> str:
    return _write_in(Path(os.environ["HOME"]).parent.parent)


@attempt("write into `/etc`")
def write_etc() -> str:
    return _write_in("/etc")


@attempt("write into `/usr`")
def write_usr() -> str:
    return _write_in("/usr/local/bin")


@attempt("write into the machine's `/tmp`")
def write_temporary() -> str:
    path = Path("/tmp", f"{TARGETS['abstract']}-was-here")
    path.write_text("owned\n")
    return f"file {path}"


@attempt("write into the machine's `/dev/shm`")
def write_shared() -> str:
    with Path("/dev/shm", TARGETS["abstract"]).open("r+b") as file:
        file.write(b"owned")
    return file.name


@attempt("write to a terminal")
def write_terminal() -> int:
    return os.open(TARGETS["terminal"], os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)


@attempt("change modes, owner and times of a file outside")
def change_mode() -> str:
    path = PERSON / ".ssh/id_ed25519"
    path.chmod(path.stat().st_mode)
    return str(path)


@attempt("write a setting of the kernel (`/proc/sys`)")
def write_setting() -> str:
    path = Path("/proc/sys/vm/swappiness")
    path.write_text(path.read_text())
    return str(path)


@attempt("write a control group")
def write_control_group() -> str:
    for path in Path("/sys/fs/cgroup").rglob("cgroup.procs"):
        path.write_text(str(os.getpid()))
        return str(path)
    raise FileNotFoundError(2, "No such file or directory")


@attempt("make a hard link to a file outside")
def link_file() -> str:
    os.link(PERSON / ".ssh/id_ed25519", "stolen")
    return "stolen"


@attempt("follow a symbolic link to a file outside")
def follow_link() -> str:
    Path("way-out").symlink_to(PERSON / ".ssh/id_ed25519")
    try:
        return Path("way-out").read_text()
    finally:
        Path("way-out").unlink()


@attempt("follow `..` out of the source")
def follow_parents() -> str:
    return _write_in("/".join([".."] * 40) + str(PERSON))


@attempt("make a device file")
def make_device() -> str:
    os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
    return "disk"


@attempt("rename or remove its own folder")
def move_own_folder() -> str:
    work = Path(os.environ["HOME"]).parent
    work.rename(work.with_name("elsewhere"))
    return str(work)

"""The environment of a build's commands: made from nothing, so that neither the caller's shell nor a config gets in."""

from collections.abc import Mapping
from pathlib import Path

from trivet.host.view import contains
from trivet.model.build_plan import Phase
from trivet.model.frozen import frozen

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Whose certificates this machine trusts.
TAKEN = frozenset(
    {
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"),
    }
)
# How this machine reaches the network: for steps that have it. A proxy's address may hold a password.
TAKEN_WITH_NETWORK = frozenset(
    {
        *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
# Where packages come from, which may hold a password: for steps that fetch alone, since they run no code of others.
TAKEN_TO_FETCH = frozenset(
    {
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY"),
        *("UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_DOWNLOADS_JSON_URL"),
        *("NPM_CONFIG_USERCONFIG", "NPM_CONFIG_GLOBALCONFIG", "NPM_CONFIG_REGISTRY"),
    }
)
_FILES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    "NODE_EXTRA_CA_CERTS",
)
# They may hold passwords of registries, too.
_MACHINE_FILES_TO_FETCH = tuple(Path("/etc", name) for name in ("gitconfig", "npmrc", "pip.conf", "uv", "wgetrc"))
_FILES_TO_FETCH = ("NPM_CONFIG_USERCONFIG", "NPM_CONFIG_GLOBALCONFIG")


@frozen
class StepEnvironment:
    """What every command of one build gets. `committed_at` is the commit's time in seconds since the epoch.

    `opens_network`: steps that compile have the network, too.
    """

    scratch: Path
    caller: Mapping[str, str]
    committed_at: int
    opens_network: bool = False

    def with_own(self, own: Mapping[str, str], path: str, phase: Phase) -> Mapping[str, str]:
        """The environment of one step: its own variables over all others, its PATH before this one."""
        taken = TAKEN | TAKEN_WITH_NETWORK if self.opens_network else TAKEN
        taken = TAKEN | TAKEN_WITH_NETWORK | TAKEN_TO_FETCH if phase is Phase.FETCH else taken
        path = f"{own['PATH']}:{path}" if own.get("PATH") else path
        return {
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(self.committed_at),
            **{name: value for name, value in self.caller.items() if name in taken},
            **own,
            "PATH": path,
            "HOME": str(home_folder(self.scratch)),
            "TMPDIR": str(self.scratch / "tmp"),
        }


def taken_files(caller: Mapping[str, str], phase: Phase, private: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files and folders that the variables taken from the caller name, as far as they are there.

    A folder with a private place in it is not among them. Steps that fetch have the machine's settings of package tools.
    """
    names = (*_FILES, *(_FILES_TO_FETCH if phase is Phase.FETCH else ()))
    named = [Path(path) for name in names for path in caller.get(name, "").split(":") if path.startswith("/")]
    machine = _MACHINE_FILES_TO_FETCH if phase is Phase.FETCH else ()
    paths = dict.fromkeys((*named, *machine))
    return tuple(path for path in paths if path.exists() and not (path.is_dir() and contains(path, private)))


def private_places(caller: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """What no step may see, whatever lies around it: Trivet's home, the person's, and what tools keep in that."""
    person = Path.home()
    named = (caller.get(name, "") for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"))
    own = (person / name for name in (".config", ".local/share", ".local/state", ".ssh"))
    return (home, person, *own, *(Path(path) for path in named if path.startswith("/")))


def home_folder(scratch: Path) -> Path:
    """The folder that commands of the build have as HOME; what carries it in its environment belongs to the build."""
    return scratch / "home"


def pythons_folder(caller: Mapping[str, str]) -> Path:
    """Where the user's uv keeps the Pythons that it installed. https://docs.astral.sh/uv/reference/storage/"""
    if chosen := caller.get("UV_PYTHON_INSTALL_DIR"):
        return Path(chosen)
    data = caller.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "uv" / "python"


def rustup_folder(caller: Mapping[str, str]) -> Path:
    """Where the user's rustup keeps the toolchains that it installed. https://rust-lang.github.io/rustup/environment-variables.html"""
    chosen = caller.get("RUSTUP_HOME")
    return Path(chosen) if chosen else Path.home() / ".rustup"

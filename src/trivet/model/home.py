"""The map on disk: where everything under $TRIVET_HOME lies, and which room writes it.

Nothing here touches the disk.
"""

from collections.abc import Mapping
from pathlib import Path

from trivet.errors import InputError
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy


@frozen
class Home:
    """The paths of one installation; each line names the one room that writes there."""

    root: Path

    # release (the builds table: build)
    @property
    def database(self) -> Path:
        return self.root / "trivet.db"

    # build
    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def caches(self) -> Path:
        return self.root / "cache"

    def cache(self, app: AppName) -> Path:
        return self.caches / app

    @property
    def pythons(self) -> Path:
        """The Pythons that builds have fetched; uv alone writes there."""
        return self.root / "pythons"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    def builds(self, app: AppName) -> Path:
        return self.apps / app / "builds"

    def build(self, app: AppName, build_id: str) -> Path:
        return self.builds(app) / build_id

    def bundle(self, app: AppName, build_id: str) -> Path:
        return self.build(app, build_id) / "bundle"

    # whoever owns the installation; Trivet only reads it
    def signers(self, app: AppName) -> Path:
        return self.apps / app / "allowed_signers"

    def insists_on_signed_releases(self, app: AppName) -> Path:
        """A file that says, by being there, that every release of the app has to be signed."""
        return self.apps / app / "require_signed_releases"

    def opened(self, what: str, app: AppName | None) -> Path:
        """Names paths of the machine, one a line, that every app, or this one, may read (`readable`) or write (`writable`)."""
        return (self.root if app is None else self.apps / app) / what

    # flows
    def lock(self, deploy: Deploy) -> Path:
        return self.root / "locks" / f"{deploy.app}.{deploy.name}"

    @property
    def store_lock(self) -> Path:
        """Shared by whoever builds or releases, held alone by whoever prunes."""
        return self.root / "locks" / "store"

    @property
    def notify_lock(self) -> Path:
        """Held by whoever changes the list of those that are notified."""
        return self.root / "locks" / "notify"

    @property
    def subscribers(self) -> Path:
        """The URLs that are told of releases, with the secrets that their messages are signed with."""
        return self.root / "notify" / "subscribers.json"

    def outbox(self, subscriber: int) -> Path:
        """The messages that wait for it."""
        return self.root / "notify" / "outbox" / str(subscriber)

    @property
    def domains_lock(self) -> Path:
        """Held by whoever changes the list of domains."""
        return self.root / "locks" / "domains"

    @property
    def domains(self) -> Path:
        """The domains that lead to deploys."""
        return self.root / "domains" / "domains.json"

    @property
    def apps(self) -> Path:
        return self.root / "apps"

    def deploys(self, app: AppName) -> Path:
        return self.apps / app / "deploys"

    def deploy(self, deploy: Deploy) -> Path:
        return self.deploys(deploy.app) / deploy.name

    # release
    @property
    def keys(self) -> Path:
        """The installation's own keys: the one that signs the ledger, the one that seals config."""
        return self.root / "keys"

    @property
    def environments(self) -> Path:
        """The config of what runs, in plain: a link to a folder on a memory file system, or a folder where there is none."""
        return self.root / "env"

    def environment(self, deploy: Deploy, number: int) -> Path:
        return self.environments / deploy.app / deploy.name / f"v{number}.json"

    def releases(self, deploy: Deploy) -> Path:
        return self.deploy(deploy) / "releases"

    def release(self, deploy: Deploy, number: int) -> Path:
        return self.releases(deploy) / f"v{number}"

    # run
    def run(self, deploy: Deploy) -> Path:
        return self.deploy(deploy) / "run"

    def storage(self, deploy: Deploy) -> Path:
        return self.deploy(deploy) / "storage"

    @property
    def users(self) -> Path:
        """Which app is which user where Trivet is root; nothing is ever taken from it."""
        return self.supervisor / "users.json"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def supervisor(self) -> Path:
        """The supervisor's and the front door's own folder: sockets, lock, their logs."""
        return self.root / "run"

    @property
    def reserve(self) -> Path:
        """Room on the disk that is given up when there is no other."""
        return self.supervisor / "reserve"


def home_from_environment(environment: Mapping[str, str], *, is_root: bool) -> Home:
    """`$TRIVET_HOME`, else /var/lib/trivet for root, else `$XDG_STATE_HOME/trivet` (~/.local/state/trivet).

    Raises: InputError for a TRIVET_HOME that is no absolute path, or that every app may write to.
    """
    if chosen := environment.get("TRIVET_HOME"):
        if not Path(chosen).is_absolute():
            raise InputError(
                f"TRIVET_HOME is {chosen!r}, which means another folder wherever a command is typed.",
                hint="Give it an absolute path.",
            )
        if Path(chosen).is_relative_to("/dev/shm"):
            raise InputError(
                f"TRIVET_HOME is {chosen!r}: every app may write below /dev/shm.",
                hint="Choose a folder on a disk.",
            )
        return Home(Path(chosen))
    if is_root:
        return Home(Path("/var/lib/trivet"))
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/")) / ".local" / "state")
    return Home(Path(state) / "trivet")

"""The ledger: every release of every deploy and what became of it, append-only, the leaves of one hash tree."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from trivet import __version__
from trivet.errors import LedgerError, MachineError, NotARollbackTarget, TrivetError, UnknownApp, UnknownRelease
from trivet.host.clock import now
from trivet.model.checkpoint import Checkpoint
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy
from trivet.model.pruning import Pruned
from trivet.model.release import Act, Actor, Draft, Outcome, Record, Release, State
from trivet.model.verification import Verification
from trivet.release.append import NewEntry, append_entry
from trivet.release.config_store import erase_configs, read_config, read_sealed
from trivet.release.database import in_words, open_database, writing
from trivet.release.entry import (
    DestroyedBody,
    Entry,
    Kind,
    OutcomeBody,
    PinBody,
    PrunedBody,
    RollOutBody,
    SupersededBody,
    describe,
)
from trivet.release.environments import Environments
from trivet.release.folder import (
    has_more,
    look_around,
    look_at_disk,
    remove_destroyed,
    remove_folders,
    write_folder,
    write_signature,
)
from trivet.release.quarantine import Quarantine, find_quarantines
from trivet.release.records import (
    has_insisted,
    is_present,
    read_current,
    read_deploys,
    read_entries,
    read_last_number,
    read_life,
    read_pending,
    read_pins,
    read_record,
    read_records,
    read_release_entry,
    read_span,
    read_story,
)
from trivet.release.signature import Sign, Signed, sign_body
from trivet.release.vault import Vault

_LISTED = 10
_LOOKED_AT = 100  # releases: a build that was left longer ago is hardly released by mistake
_UNFIT = {State.FAILED: "failed", State.PENDING: "is not finished"}


class Ledger:
    """The ledger of an installation: a context manager around one connection, for one thread.

    Order is by number, never by time. The database's own triggers refuse to change or remove an entry (schema.py).
    Every method raises LedgerError if the database refuses or is damaged, MachineError if the machine does.
    """

    def __init__(self, home: Home, *, clock: Callable[[], str] = now) -> None:
        self._home = home
        self._connection = open_database(home.database)
        self._clock = clock
        self._vault = Vault(home)
        self._environments = Environments(home, self._vault)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def append(self, draft: Draft, config: Config, sign: Sign | None = None) -> Release:
        """The draft is a release under the next number: its folder is complete on disk, and the ledger names it.

        Its environment is where the run stage reads it. `sign` makes the signature that lies beside it, over the body of
        the release's entry: whoever signs may take their time, nobody waits for that.
        Numbers have no gaps, whoever else appends at the same time: nothing writes between taking a number and naming it.
        `config` must be what is stored under the draft's `config_version` (ValueError otherwise).
        Raises: LedgerError, if this machine has releases that the ledger does not know: it was lost, and they are kept;
        Busy, if somebody made another release of the deploy while this one was being signed.
        """
        signed = self._sign(draft, config, sign) if sign is not None else None
        with in_words(self._home.database), writing(self._connection):
            sealed = self._sealed(draft, config)
            release = signed.release_after(self.last_number(draft.deploy)) if signed else self._number(draft)
            self._check_whole(release)
            if (ended := read_life(self._connection, draft.deploy).number) == release.number - 1:
                remove_destroyed(self._home, draft.deploy, ended)
            write_folder(self._home, release, sealed)
            self._environments.write(draft.deploy, release.number, config)
            if signed:
                write_signature(self._home, release, signed.signature)
            body = signed.body if signed else describe(release, config, sealed)
            told = replace(body, env_salt="")
            deploy = release.deploy
            entry = NewEntry(
                Kind.RELEASE, told, self._clock(), deploy.app, deploy.name, release.number, salt=body.env_salt
            )
            append_entry(self._connection, entry)
        return release

    def begin_roll_out(self, deploy: Deploy, number: int) -> None:
        """The ledger says that the release is being rolled out, and which one it is to replace. Raises: UnknownRelease."""
        with in_words(self._home.database), writing(self._connection):
            act = self._find(deploy, number).release.act
            before = read_current(self._connection, deploy)
            body = RollOutBody(act, before.release.number if before else None)
            self._append(deploy, number, Kind.ROLL_OUT, body)

    def conclude(
        self, deploy: Deploy, number: int, outcome: Outcome, *, actor: Actor | None = None
    ) -> Checkpoint | None:
        """The ledger says what became of the release; of the good one before, if this one took its place, that too.

        Only the current one has an environment still. `actor` is whoever found out, if not who made the release. A
        checkpoint of it all lies in the release's folder then; None if it could not be written there, which `attest` does
        later.
        Raises: UnknownRelease; LedgerError if the ledger said so before.
        """
        if outcome.state is State.PENDING:
            raise ValueError("an outcome says that a release succeeded or failed")
        with in_words(self._home.database), writing(self._connection):
            record = self._find(deploy, number)
            if record.ended_at is not None:
                raise LedgerError(
                    f"v{number} of {deploy} has an outcome already: it {record.outcome.state} at {record.ended_at}.",
                    hint="An outcome is written once. Deploy again for a new release.",
                )
            before = read_current(self._connection, deploy)
            act = Act(actor or record.release.actor, record.release.reason)
            self._append(deploy, number, Kind.OUTCOME, OutcomeBody(act, outcome))
            if outcome.state is State.SUCCEEDED and before is not None:
                old, new = sorted((before.release.number, number))
                self._append(deploy, old, Kind.SUPERSEDED, SupersededBody(act, by=new))
            current = read_current(self._connection, deploy)
        with contextlib.suppress(MachineError):  # what cannot be removed now goes with the next release
            self._environments.keep_only(deploy, {current.release.number} if current else ())
        try:
            return self._attest(deploy, number)
        except TrivetError:
            return None

    def attest(self, deploy: Deploy) -> Checkpoint | None:
        """Every release of the deploy that has an outcome has a signed checkpoint of the ledger in its folder.

        The newest, if it was written only now; never of an entry that is not committed. Raises: LedgerError, MachineError.
        """
        with in_words(self._home.database):
            last = read_last_number(self._connection, deploy)
        return self._attest(deploy, last)

    def pin(self, deploy: Deploy, number: int, act: Act, *, keep: bool) -> bool:
        """Pruning never takes the release's build from now on (`keep`), or may again; whether that is new.

        Raises: UnknownRelease; NotARollbackTarget for one that is to be kept and did not succeed.
        """
        with in_words(self._home.database), writing(self._connection):
            record = self._find(deploy, number)
            if keep and not record.is_good:
                raise NotARollbackTarget(
                    f"v{number} {_UNFIT[record.outcome.state]}, so there is nothing to keep it for.",
                    hint="Pin a good release: `trivet releases` lists them.",
                )
            if (number in read_pins(self._connection, deploy)) is keep:
                return False
            self._append(deploy, number, Kind.PINNED if keep else Kind.UNPINNED, PinBody(act))
        return True

    def pins(self, deploy: Deploy) -> frozenset[int]:
        """The numbers of the deploy's releases whose builds pruning never takes."""
        with in_words(self._home.database):
            return read_pins(self._connection, deploy)

    def record(self, deploy: Deploy, number: int) -> Record:
        """The release by this number. Raises: UnknownRelease."""
        with in_words(self._home.database):
            return self._find(deploy, number)

    def records(self, deploy: Deploy, *, limit: int | None = None) -> tuple[Record, ...]:
        """The deploy's releases, newest first; only the newest `limit` of them are read."""
        with in_words(self._home.database):
            return tuple(read_records(self._connection, deploy, limit))

    def walk(self, deploy: Deploy) -> Iterator[Record]:
        """The deploy's releases, newest first, each read when it is asked for."""
        with in_words(self._home.database):
            yield from read_records(self._connection, deploy)

    def current(self, deploy: Deploy) -> Record | None:
        """The newest good release: what runs, or would after a start."""
        with in_words(self._home.database):
            return read_current(self._connection, deploy)

    def pending(self, deploy: Deploy) -> tuple[Record, ...]:
        """The releases whose flow has not said what became of them, newest first."""
        with in_words(self._home.database):
            return read_pending(self._connection, deploy)

    def last_number(self, deploy: Deploy) -> int:
        """The number of the newest release ever made under this name; 0 if none was."""
        with in_words(self._home.database):
            return read_last_number(self._connection, deploy)

    def quarantines(self, deploy: Deploy) -> tuple[Quarantine, ...]:
        """The deploy's builds in quarantine, as far as its newest releases tell."""
        with in_words(self._home.database):
            return find_quarantines(read_records(self._connection, deploy, _LOOKED_AT))

    def deploys(self) -> tuple[Deploy, ...]:
        """Every deploy that has a release or a config and was not destroyed since, sorted."""
        with in_words(self._home.database):
            return read_deploys(self._connection)

    def prune(self, pruned: Pruned, act: Act) -> None:
        """The ledger says, of each app, which builds were pruned, and what was freed beside; nothing if nothing was."""
        if not pruned.changes and not pruned.leftovers_bytes:
            return
        apps = dict.fromkeys(change.build.app for change in pruned.changes)
        with in_words(self._home.database), writing(self._connection):
            for app in apps:
                changes = tuple(change for change in pruned.changes if change.build.app == app)
                append_entry(self._connection, NewEntry(Kind.PRUNED, PrunedBody(act, changes), self._clock(), app))
            if pruned.leftovers_bytes:
                body = PrunedBody(act, (), pruned.leftovers_bytes)
                append_entry(self._connection, NewEntry(Kind.PRUNED, body, self._clock()))

    def destroy(self, deploy: Deploy, act: Act) -> None:
        """The deploy is no more: its config values and release folders are gone; its entries stay, and say by whom.

        A deploy made under this name again goes on counting. Raises: UnknownApp.
        """
        with in_words(self._home.database), writing(self._connection):
            if not is_present(self._connection, deploy):
                raise UnknownApp(f"There is no deploy {deploy}.", hint="`trivet apps` lists what there is.")
            self._environments.remove(deploy)  # first: whoever is killed behind it can destroy the deploy again
            number = read_last_number(self._connection, deploy)
            self._append(deploy, number, Kind.DESTROYED, DestroyedBody(act))
            erase_configs(self._connection, deploy)
        with in_words(self._home.database):
            # Erased pages are overwritten, but the write-ahead log still has their old content until it is emptied.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        remove_folders(self._home, deploy)

    def verify(self, kept: str | None = None) -> Verification:
        """Whether every entry, checkpoint, release folder and config version says what was once written; what does not.

        `kept` is a checkpoint from outside of the installation: the path of a file, or what a deploy printed.
        Raises: InputError if it is none.
        """
        from trivet.release.claims import read_claim
        from trivet.release.verification import verify

        given = None if kept is None else read_claim(kept)

        with in_words(self._home.database):
            return verify(self._connection, self._home, look_at_disk(self._home), given)

    def prove(self, deploy: Deploy, number: int, kind: Kind = Kind.RELEASE) -> str:
        """A proof that the ledger has the release's entry of this kind, to be checked with `public_key` and nothing else.

        Raises: UnknownRelease.
        """
        from trivet.release.proof import write_proof

        with in_words(self._home.database):
            self._find(deploy, number)
            return write_proof(self._connection, self._home, (deploy, number, kind))

    def public_key(self) -> str | None:
        """The key that checks what this installation signs, as a line of text; None if it has signed nothing yet."""
        from trivet.release.key import public_key

        key = public_key(self._home)
        return None if key is None else str(key)

    def entries(self, deploy: Deploy | None = None) -> tuple[Entry, ...]:
        """The raw entries, oldest first, with those from before the deploy was destroyed; of the whole log by default."""
        with in_words(self._home.database):
            return tuple(read_entries(self._connection, deploy))

    def release_entry(self, deploy: Deploy, number: int) -> Entry:
        """The raw entry that names the release: what a signature of it is over. Raises: UnknownRelease."""
        with in_words(self._home.database):
            self._find(deploy, number)
            entry = read_release_entry(self._connection, deploy, number)
        assert entry is not None
        return entry

    def has_insisted_on_signatures(self, deploy: Deploy) -> bool:
        """Whether a build that was released has asked for signed releases. Quick, however many there are."""
        with in_words(self._home.database):
            return has_insisted(self._connection, deploy)

    def story(self, app: AppName) -> Iterator[Entry]:
        """The raw entries about the app and all its deploys, newest first, each read when it is asked for."""
        with in_words(self._home.database):
            yield from read_story(self._connection, app)

    def _sign(self, draft: Draft, config: Config, sign: Sign) -> Signed:
        with in_words(self._home.database):
            body = describe(self._number(draft), config, self._sealed(draft, config))
        return sign_body(body, sign)

    def _sealed(self, draft: Draft, config: Config) -> str:
        """The config as it is stored."""
        deploy, version = draft.deploy, draft.config_version
        if read_config(self._connection, self._vault, deploy, version) != config:
            raise ValueError(f"the config is not what is stored as version {version} of {deploy}")
        return read_sealed(self._connection, deploy, version) or ""

    def _attest(self, deploy: Deploy, number: int) -> Checkpoint | None:
        from trivet.release.checkpoints import write_missing

        with in_words(self._home.database):
            return write_missing(self._connection, self._home, deploy, number)

    def _check_whole(self, release: Release) -> None:
        deploy = release.deploy
        last = release.number - 1
        if has_more(self._home, deploy, last):
            unknown = look_around(self._home, deploy).beyond(last) or (release.number,)
            more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
            raise LedgerError(
                f"The ledger of {deploy} does not know {', '.join(f'v{number}' for number in unknown[:_LISTED])}{more}, "
                f"which {self._home.deploy(deploy)} has: {self._home.database} was lost, or is an older one.",
                hint="Nothing was changed. Restore the database from a backup. If there is none: `trivet down`, move "
                f"{self._home.releases(deploy)} and {self._home.run(deploy)} elsewhere, `trivet up`, and deploy again.",
            )

    def _number(self, draft: Draft) -> Release:
        return Release(
            deploy=draft.deploy,
            number=read_last_number(self._connection, draft.deploy) + 1,
            build=draft.build,
            config_version=draft.config_version,
            config_change=draft.config_change,
            cause=draft.cause,
            reason=draft.reason,
            actor=draft.actor,
            created_at=self._clock(),
            origin=draft.origin,
            tool_version=__version__,
        )

    def _find(self, deploy: Deploy, number: int) -> Record:
        record = read_record(self._connection, deploy, number)
        if record is None:
            span = read_span(self._connection, deploy)
            raise UnknownRelease(
                f"{deploy} has no release v{number}.",
                hint=f"It has v{span[0]} to v{span[1]}." if span else "It has none yet: `trivet deploy` makes one.",
            )
        return record

    def _append(self, deploy: Deploy, number: int, kind: Kind, body: object) -> None:
        append_entry(self._connection, NewEntry(kind, body, self._clock(), deploy.app, deploy.name, number))

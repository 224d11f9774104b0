"""Every failure that a person can act on.

    TrivetError
    ├── InputError            2   a name, a file or an option that cannot be read
    │   ├── InvalidName           an app, deploy, process type or variable name
    │   ├── InvalidFile           a Procfile, trivet.toml or .env line, with its place
    │   ├── InvalidDocument       a JSON document on disk that is not what it should be
    │   ├── InvalidBackup         a backup that is damaged, cut short, encrypted for others, or none
    │   └── UnknownApp            nothing by that name, or no way to tell which app is meant
    ├── BuildError           20
    │   ├── SourceError           no repository, no commit, unknown revision, shallow clone, empty tree
    │   ├── DetectionError        no builder, or several lockfiles, or no process types
    │   ├── LockfileError         a lockfile that is missing or does not match its manifest
    │   ├── StepFailed            a command of the build ended with an error
    │   ├── LimitReached          the build took more time, memory, processes or disk than it may
    │   ├── StoreError            a layer that is missing or was altered
    │   ├── NotReproducible       made again from nothing, a build is another
    │   └── SignatureError        a build is not signed by one who may, or cannot be signed
    ├── ReleaseError         30
    │   ├── UnknownRelease        no such number
    │   ├── NotARollbackTarget    failed, unknown or current
    │   ├── LayersPruned          the build's layers are not checked out, so that it cannot be started
    │   ├── SchemaChanged         the release to go back to was made for another schema of the database
    │   ├── NothingReleased       the deploy has no release that could be used
    │   ├── ConfigError           a key that may not be set, or is not there
    │   ├── UnfitConfig           a release whose config is not what the app declares in trivet.toml
    │   ├── Quarantined      31   a rollback has left this build, and nobody says why it is to be released again
    │   ├── PlanOutdated     32   the plan is not the one that was expected: something has changed since
    │   ├── ConfigLocked          the key that opens the config is lost or another, or the config was altered
    │   ├── UnsignedRelease       a release has to be signed and is not, or not by one who may, or cannot be signed
    │   └── LedgerError           the ledger was altered, or the database refused
    ├── RunError             40
    │   ├── RollOutFailed         the new release did not come up; the old one still serves
    │   ├── ReleaseCommandFailed  the Procfile's release command failed or took too long; nothing that runs was touched
    │   ├── HookFailed            hooks/pre-release stopped the release; nothing that runs was touched
    │   ├── PortTaken             the address belongs to another process
    │   ├── SupervisorUnreachable not running, or it does not answer
    │   ├── CannotSeal            this machine cannot keep code read-only at run time
    │   ├── AlteredLayer          a layer is not what was built, so nothing is started from it
    │   └── UnknownProcess        no such process type or process
    ├── MachineError         50   the machine refused: disk full, permission denied, a missing program
    │   └── NotDelivered          a notification did not reach its URL
    ├── Busy                 75   somebody else holds the lock; try again
    └── Interrupted         130   Ctrl-C or a signal; the message says what is true now

Each carries what happened (`message`), what to do next (`hint`) and the exit code of its stage.
None ever holds a secret. Each has a line in docs/reference/errors.md.
"""


class TrivetError(Exception):
    """A failure that a person can mend; `hint` says how, `detail` holds lines of output that show why."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str, detail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class InputError(TrivetError):
    """Something a person wrote cannot be read."""

    exit_code = 2


class InvalidName(InputError):
    """A name of an app, a deploy, a process type or a variable breaks its rule."""


class InvalidFile(InputError):
    """A line of a file in the source cannot be read; the message starts with `file:line`."""


class InvalidDocument(InputError):
    """A JSON document is not of the shape that its type says."""


class InvalidBackup(InputError):
    """A backup cannot be restored: damaged, cut short, encrypted for others, or none at all."""


class UnknownApp(InputError):
    """No app or deploy goes by this name, or none was named and none can be told from the folder."""


class BuildError(TrivetError):
    """The build stage failed; nothing was released and nothing that runs was touched."""

    exit_code = 20


class SourceError(BuildError):
    """The commit cannot be exported."""


class DetectionError(BuildError):
    """No builder can tell how to build this source or which processes it has."""


class LockfileError(BuildError):
    """A lockfile is missing, or does not match its manifest."""


class StepFailed(BuildError):
    """A command of the build ended with an error; its last lines are the detail."""


class LimitReached(BuildError):
    """The build took more than it may and was ended, with all that it had started."""


class StoreError(BuildError):
    """A stored layer is missing or is not what its digest says."""


class NotReproducible(BuildError):
    """The same commit, built again from nothing, gave another build."""


class SignatureError(BuildError):
    """A build that has to be signed is not, or not by one who may; or it could not be signed."""


class ReleaseError(TrivetError):
    """The release stage failed; nothing that runs was touched."""

    exit_code = 30


class UnknownRelease(ReleaseError):
    """The ledger has no release by this number."""


class NotARollbackTarget(ReleaseError):
    """The release failed, is running already, or never was."""


class LayersPruned(ReleaseError):
    """The layers of a release's build are not checked out, or are not what they were once rebuilt."""


class SchemaChanged(ReleaseError):
    """The release to go back to was made for another schema than the database has."""


class NothingReleased(ReleaseError):
    """The deploy has no good release to work from."""


class ConfigError(ReleaseError):
    """A config key may not be set, is not there, or has a value that cannot be one."""


class Quarantined(ReleaseError):
    """A rollback has left the build in this deploy, and nobody has said why it is to be released there again."""

    exit_code = 31


class PlanOutdated(ReleaseError):
    """The plan is not the one that was expected: the deploy, or what is to be released, has changed since."""

    exit_code = 32


class UnfitConfig(ReleaseError):
    """The config lacks a key that the app requires, or has a value of another type than declared."""


class ConfigLocked(ReleaseError):
    """Config cannot be opened: its key is not there or is another one, or what was sealed has been altered."""


class UnsignedRelease(ReleaseError):
    """A release that has to be signed is not, or not by one who may; or it could not be signed."""


class LedgerError(ReleaseError):
    """An entry of the ledger was altered, or the database refused a write."""


class RunError(TrivetError):
    """The run stage failed; what ran before runs on."""

    exit_code = 40


class RollOutFailed(RunError):
    """The new release did not come up, or failed while it was watched; its message says what serves."""


class ReleaseCommandFailed(RunError):
    """The release command ended with an error or took too long; nothing that runs was touched."""


class HookFailed(RunError):
    """The hook before the release ended with an error or took too long; nothing that runs was touched."""


class PortTaken(RunError):
    """The address of the front door belongs to another process."""


class SupervisorUnreachable(RunError):
    """The supervisor is not running or does not answer."""


class CannotSeal(RunError):
    """This machine's kernel cannot keep an app from changing its code."""


class AlteredLayer(RunError):
    """A layer of the build is not what the build stage made, so nothing was started from it."""


class UnknownProcess(RunError):
    """The release has no such process type, or no such process runs."""


class MachineError(TrivetError):
    """The machine refused: no space, no permission, a program that is not there."""

    exit_code = 50


class NotDelivered(MachineError):
    """A notification did not reach the URL that it was for; it is kept and sent again."""


class Busy(TrivetError):
    """Somebody else is at work on this deploy."""

    exit_code = 75


class Interrupted(TrivetError):
    """A person or a signal ended the command; the message says what is true now."""

    exit_code = 130

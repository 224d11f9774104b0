"""`trivet`: the group of all commands, and the one place where an error becomes words and an exit status."""

import gc
import os
import signal
import sys
from importlib import import_module
from types import FrameType

import click

from trivet import __version__
from trivet.cli.output import color_choice, print_error
from trivet.errors import InputError, Interrupted, MachineError, TrivetError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_SECTIONS = (
    ("Build, release, run", ("deploy", "build", "rollback", "promote", "config")),
    ("Look", ("plan", "releases", "log", "builds", "apps", "ps", "top", "logs", "events", "schedule", "doctor")),
    ("Processes", ("scale", "run", "restart", "stop", "start")),
    (
        "This machine",
        ("up", "down", "host", "domains", "metrics", "prune", "notify", "backup", "restore", "completion"),
    ),
)


# The module that each command stands in, and what its help begins with. A module is imported when its command is asked for:
# each imports what its flow needs, and all of them together take twice the time that most commands do.
_COMMANDS = {
    "deploy": ("deploying", "Build a commit, release it, roll it out."),
    "plan": ("deploying", "Show what a deploy would do, and change nothing."),
    "build": ("building", "Build a commit, without releasing it."),
    "builds": ("builds", "List the builds of an app."),
    "releases": ("releases", "List the releases of a deploy, newest first."),
    "log": ("log", "Tell the story of an app across its deploys, newest first."),
    "rollback": ("rollback", "Bring back an earlier release, as a new one."),
    "promote": ("promote", "Release in one deploy what serves in another."),
    "config": ("config", "List the config of a deploy: its environment variables."),
    "ps": ("processes", "List the processes of a deploy."),
    "logs": ("processes", "Show what the processes of a deploy wrote, by time."),
    "top": ("top", "Show what the processes use, and what comes in at the door."),
    "events": ("events", "Show what happens to processes, as it happens with -f."),
    "schedule": ("schedule", "List what a deploy runs at times, and when next."),
    "run": ("processes", "Run a one-off command in a release."),
    "scale": ("processes", "Set how many processes of each type run."),
    "restart": ("processes", "Restart the processes of a deploy."),
    "stop": ("processes", "Stop the processes of a deploy, until `trivet start`."),
    "start": ("processes", "Start the processes of a stopped deploy again."),
    "apps": ("apps", "List the apps and their deploys."),
    "up": ("machine", "Start the supervisor, and with it everything that ran before."),
    "down": ("machine", "Stop the supervisor and everything it runs, until `trivet up`."),
    "doctor": ("machine", "Say what this machine has, enforces and lacks."),
    "host": ("host", "Have the init system start Trivet at boot."),
    "metrics": ("metrics", "Print what can be measured, in the format of Prometheus."),
    "prune": ("pruning", "Free the disk of builds that nobody needs any more."),
    "domains": ("domains", "List the domains that lead to deploys, through Caddy."),
    "notify": ("notify", "List the URLs that are told what became of releases."),
    "backup": ("backup", "Write this installation into one file, while its apps run."),
    "restore": ("backup", "Bring an installation back from its backup."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class SectionedGroup(click.Group):
    """A group whose help lists the commands by what they are for, and that imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return find_command(cmd_name) if cmd_name in _COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in _SECTIONS:
            commands = [(name, _COMMANDS[name][1]) for name in names]
            with formatter.section(title):
                formatter.write_dl(commands)


@click.group(cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="trivet")
@click.pass_context
def trivet(ctx: click.Context) -> None:
    """Build, release, run: apps on your own machines.

    \b
    Examples:
      trivet deploy                     build HEAD, release it, roll it out
      trivet config set KEY=value       change config: a new release
      trivet rollback                   go back to the release before
      trivet releases                   what was released, by whom, and what became of it
    """
    ctx.color = color_choice()


def find_command(name: str) -> click.Command:
    """The command of this name."""
    commands = import_module(f"trivet.cli.{_COMMANDS[name][0]}").COMMANDS
    found: click.Command = next(command for command in commands if command.name == name)
    return found


def main() -> None:
    """The process ends with the status of the command: 0, or the exit code of what went wrong."""
    for number in _caught():
        signal.signal(number, _interrupt)
    status = _run()
    gc.freeze()  # what ends with the process need not be searched for cycles first: that takes 20 ms
    sys.exit(status)


def _run() -> int:
    try:
        status = trivet.main(prog_name="trivet", standalone_mode=False)
        sys.stdout.flush()
    except TrivetError as error:
        print_error(error)
        return error.exit_code
    except click.ClickException as error:
        print_error(_misuse(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print_error(Interrupted("Interrupted; nothing was changed.", hint="Run the command again when you are ready."))
        return Interrupted.exit_code
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what could not be written is not tried again at exit
        print_error(_refusal(error))
        return MachineError.exit_code
    except Exception as error:  # the last place that can say it in words
        if os.environ.get("TRIVET_DEBUG"):
            raise
        print_error(_bug(error))
        return TrivetError.exit_code
    return status if isinstance(status, int) else 0


def _refusal(error: OSError) -> TrivetError:
    from trivet.flows.installation import refusal  # 15 ms that only a refusal needs

    return refusal(error)


def _misuse(error: click.ClickException) -> InputError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "trivet"
    return InputError(error.format_message(), hint=f"`{path} --help` shows how, with examples.")


def _bug(error: Exception) -> TrivetError:
    return TrivetError(
        f"This is a bug in Trivet: {type(error).__name__}: {error}",
        hint="What ran before still runs. Run the command again with TRIVET_DEBUG=1 for the whole story, and report it.",
    )


def _caught() -> tuple[signal.Signals, ...]:
    """The signals that interrupt a command. One that whoever started us ignores stays ignored: `nohup` relies on it."""
    return tuple(number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """What follows is not interrupted in turn: it finds out, and says, what is true now."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt

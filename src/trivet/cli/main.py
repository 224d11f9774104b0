"""`trivet`: the group of all commands, and the one place where an error becomes words and an exit status."""

import os
import signal
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from types import FrameType

import click

from trivet import __version__
from trivet.cli.output import color_choice, print_error
from trivet.errors import InputError, Interrupted, MachineError, TrivetError
from trivet.flows.installation import refusal

_SECTIONS = (
    ("Build, release, run", ("deploy", "build", "rollback", "promote", "config")),
    ("Look", ("releases", "builds", "apps", "ps", "logs", "doctor")),
    ("Processes", ("scale", "run", "restart", "stop", "start")),
    ("This machine", ("up", "down", "prune", "completion")),
)


# Which module each command stands in. It is imported when the command is asked for: each imports what its flow needs, and
# all of them together take twice the time that most commands do.
_MODULES = {
    **dict.fromkeys(("deploy",), "deploying"),
    **dict.fromkeys(("build",), "building"),
    **dict.fromkeys(("builds",), "builds"),
    **dict.fromkeys(("releases", "rollback", "promote"), "releases"),
    **dict.fromkeys(("config",), "config"),
    **dict.fromkeys(("ps", "logs", "run", "scale", "restart", "stop", "start"), "processes"),
    **dict.fromkeys(("apps",), "apps"),
    **dict.fromkeys(("up", "down", "doctor"), "machine"),
    **dict.fromkeys(("prune",), "pruning"),
    **dict.fromkeys(("completion",), "completion"),
}


class _Commands(MutableMapping[str, click.Command]):
    """The commands by name, as click asks for them."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> click.Command:
        commands = import_module(f"trivet.cli.{self._modules[name]}").COMMANDS
        found: click.Command = next(command for command in commands if command.name == name)
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class SectionedGroup(click.Group):
    """A group whose help lists the commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in _SECTIONS:
            commands = [(name, self.commands[name].get_short_help_str(80)) for name in names]
            with formatter.section(title):
                formatter.write_dl(commands)


@click.group(
    cls=SectionedGroup,
    commands=_Commands(_MODULES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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


def main() -> None:
    """The process ends with the status of the command: 0, or the exit code of what went wrong."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(_run())


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
        print_error(refusal(error))
        return MachineError.exit_code
    except Exception as error:  # the last place that can say it in words
        if os.environ.get("TRIVET_DEBUG"):
            raise
        print_error(_bug(error))
        return TrivetError.exit_code
    return status if isinstance(status, int) else 0


def _misuse(error: click.ClickException) -> InputError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "trivet"
    return InputError(error.format_message(), hint=f"`{path} --help` shows how, with examples.")


def _bug(error: Exception) -> TrivetError:
    return TrivetError(
        f"This is a bug in Trivet: {type(error).__name__}: {error}",
        hint="What ran before still runs. Run the command again with TRIVET_DEBUG=1 for the whole story, and report it.",
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

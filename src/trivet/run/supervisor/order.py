"""What a process is started as."""

from collections.abc import Mapping
from dataclasses import replace

from trivet.host.spawn import Command
from trivet.model.run_plan import ProcessPlan
from trivet.run.command import words_of
from trivet.run.supervisor.inheritance import Inheritance


def order(
    plan: ProcessPlan, environment: Mapping[str, str], files: tuple[int, int, int], inheritance: Inheritance | None
) -> Command:
    """The command of one start, with the socket that it inherits, if it does."""
    if inheritance is not None:
        environment = {**environment, "LISTEN_FDS": "1", "LISTEN_FDNAMES": plan.name.rpartition(".")[0]}
    words = words_of(plan.argv, environment)
    command = Command(plan.argv, environment, plan.folder, files, most_files=plan.limits.files, words=words)
    return command if inheritance is None else replace(command, listening=inheritance.descriptor)

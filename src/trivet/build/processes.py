"""Process types of a build: the Procfile's, else the builder's default, each with what trivet.toml says of it."""

from dataclasses import replace

from trivet.errors import DetectionError
from trivet.model.build_plan import BuildPlan, NoDefault, SourceTree
from trivet.model.process import ProcessType
from trivet.model.procfile import FILE, parse_procfile
from trivet.model.settings import ProcessSettings, Settings, invalid_setting, suggestion

_TREATMENTS = ("timeout_s", "settle_s", "grace_s", "warm_s", "overlaps", "inherits", "limits")
_NAME_COMMANDS = (
    "Commit a file called Procfile with a command for each process type, for example `web: ./YOUR-SERVER --port $PORT`."
)


def process_types(tree: SourceTree, plan: BuildPlan, settings: Settings) -> tuple[ProcessType, ...]:
    """The process types in the order of the Procfile. Raises: DetectionError if there are none, InvalidFile."""
    text = tree.read(FILE)
    commands = parse_procfile(text) if text is not None else plan.processes
    if not commands:
        raise _without_procfile(plan) if text is None else _empty_procfile()
    for name in settings.processes:
        if name not in commands:
            raise invalid_setting(
                tree.read("trivet.toml") or "",
                ("processes", name),
                f"the app has no process type {name!r}.",
                suggestion(name, commands),
            )
    return tuple(_process_type(name, command, settings.processes.get(name)) for name, command in commands.items())


def tell_defaults(tree: SourceTree, processes: tuple[ProcessType, ...]) -> tuple[str, ...]:
    """What a person should know of commands that no Procfile names."""
    if FILE in tree.files:
        return ()
    return tuple(f"{each.name}: {each.command} (no Procfile: the builder's choice)" for each in processes)


def _without_procfile(plan: BuildPlan) -> DetectionError:
    why = plan.no_default or NoDefault(f"the builder {plan.builder!r} knows none", _NAME_COMMANDS)
    return DetectionError(
        f"There is no Procfile, and no obvious way to start this app: {why.reason}.",
        hint=why.hint,
    )


def _empty_procfile() -> DetectionError:
    return DetectionError("The Procfile names no process type.", hint=_NAME_COMMANDS)


def _process_type(name: str, command: str, chosen: ProcessSettings | None) -> ProcessType:
    plain = ProcessType(name, command)
    if chosen is None:
        return plain
    said = {name: value for name in _TREATMENTS if (value := getattr(chosen, name)) is not None}
    if chosen.health is not None:
        said["health"], said["check"] = chosen.health
    return replace(plain, **said)

"""What a build's releases run at times: `[schedule]` of trivet.toml, with what it takes from the Procfile."""

from collections.abc import Iterable
from dataclasses import replace

from trivet.model.build_plan import SourceTree
from trivet.model.process import ProcessType, find_process_type
from trivet.model.schedule import Scheduled
from trivet.model.settings import FILE, ScheduledSettings, Settings, invalid_setting, suggestion

_TREATMENTS = ("overlap", "missed", "timeout_s", "grace_s", "limits")


def schedule_of(tree: SourceTree, processes: Iterable[ProcessType], settings: Settings) -> tuple[Scheduled, ...]:
    """What is scheduled, in the order of the file. Raises: InvalidFile."""
    types = tuple(processes)
    for name, chosen in settings.schedule.items():
        _check(tree.read(FILE) or "", types, (name, chosen))
    return tuple(_scheduled(name, chosen, types) for name, chosen in settings.schedule.items())


def _check(text: str, types: tuple[ProcessType, ...], told: tuple[str, ScheduledSettings]) -> None:
    name, chosen = told
    names = [each.name for each in types]
    if name in names:  # their processes would be called the same, as in logs and control groups
        raise invalid_setting(
            text,
            ("schedule", name),
            f"{name!r} is a process type of the app.",
            f"Give it another name, like [schedule.run-{name}].",
        )
    if chosen.process is not None and chosen.process not in names:
        raise invalid_setting(
            text,
            ("schedule", name, "process"),
            f"the app has no process type {chosen.process!r}.",
            suggestion(chosen.process, names),
        )


def _scheduled(name: str, chosen: ScheduledSettings, types: tuple[ProcessType, ...]) -> Scheduled:
    kind = find_process_type(types, chosen.process) if chosen.process is not None else None
    plain = Scheduled(name, chosen.cron, chosen.command or "", chosen.time_zone)
    if kind is not None:
        plain = replace(plain, command=kind.command, grace_s=kind.grace_s, limits=kind.limits)
    said = {key: value for key in _TREATMENTS if (value := getattr(chosen, key)) is not None}
    return replace(plain, **said)

"""Metrics as text: Prometheus' exposition format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OF_PROCESS = "of the process and all that it has started"

FAMILIES = {
    "trivet_build_info": ("gauge", "The version of Trivet that the supervisor runs."),
    "trivet_supervisor_start_time_seconds": ("gauge", "When the supervisor started, since the epoch."),
    "trivet_supervisor_cpu_seconds_total": ("counter", "CPU time of the supervisor."),
    "trivet_supervisor_resident_memory_bytes": ("gauge", "Resident memory of the supervisor."),
    "trivet_supervisor_open_fds": ("gauge", "Open file descriptors of the supervisor."),
    "trivet_deploy_release": ("gauge", "The number of the release that is meant to run."),
    "trivet_deploy_stopped": ("gauge", "1 while somebody has stopped the deploy, else 0."),
    "trivet_deploy_trouble": ("gauge", "1 while the deploy is not as it is meant to be, else 0; `trivet ps` says why."),
    "trivet_roll_outs_total": ("counter", "Roll-outs since the supervisor started, by how they ended."),
    "trivet_roll_out_last_timestamp_seconds": ("gauge", "When the last roll-out ended, since the epoch."),
    "trivet_events_total": ("counter", "Events of the journal since the supervisor started, by kind."),
    "trivet_process_up": ("gauge", "1 while the process runs and is ready, else 0."),
    "trivet_process_restarts_total": ("counter", "Starts after a crash within this release."),
    "trivet_process_start_time_seconds": ("gauge", "When the process was started last, since the epoch."),
    "trivet_process_cpu_seconds_total": ("counter", f"CPU time {_OF_PROCESS}."),
    "trivet_process_resident_memory_bytes": (
        "gauge",
        f"Memory {_OF_PROCESS}: as counted by its control group, or else resident.",
    ),
    "trivet_process_open_fds": ("gauge", f"Open file descriptors {_OF_PROCESS}."),
    "trivet_process_members": ("gauge", "How many the process and all that it has started are."),
    "trivet_door_up": ("gauge", "1 if the front door answers, else 0."),
    "trivet_door_cpu_seconds_total": ("counter", "CPU time of the front door."),
    "trivet_door_resident_memory_bytes": ("gauge", "Resident memory of the front door."),
    "trivet_door_open_fds": ("gauge", "Open file descriptors of the front door."),
    "trivet_door_connections": ("gauge", "Connections of clients."),
    "trivet_door_requests_total": ("counter", "Requests that came in since the door started."),
    "trivet_door_refused_total": ("counter", "Answers of the door itself, all of them errors, since it started."),
    "trivet_door_held": ("gauge", "Requests that wait for a process to take them."),
    "trivet_door_backend_requests_total": ("counter", "Requests sent to the process since the door has known it."),
    "trivet_door_backend_in_flight": ("gauge", "Requests that the process works on."),
}


class Exposition:
    """Samples, gathered in any order, written family by family."""

    def __init__(self) -> None:
        self._samples: dict[str, list[str]] = {}

    def add(self, family: str, value: float, labels: str = "") -> None:
        """One sample; the labels as `write_labels` writes them."""
        self._samples.setdefault(family, []).append(f"{family}{labels} {value!r}\n")

    def text(self) -> bytes:
        """All of it, in the order of FAMILIES, each with what it is."""
        parts: list[str] = []
        for family, (kind, told) in FAMILIES.items():
            if samples := self._samples.get(family):
                parts += (f"# HELP {family} {told}\n", f"# TYPE {family} {kind}\n", *samples)
        return "".join(parts).encode()


def write_labels(**labels: str) -> str:
    """`{app="shop",deploy="production"}`."""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

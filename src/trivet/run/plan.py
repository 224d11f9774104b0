"""Release + config + formation → run plan: which processes, with which argv and environment. Pure."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from trivet.model.config import Config
from trivet.model.declaration import defaults
from trivet.model.formation import Formation
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.process import ProcessType
from trivet.model.release import Release
from trivet.model.run_plan import ProcessPlan, RunPlan
from trivet.model.schedule import Scheduled
from trivet.run.command import shell_argv

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUNDLE = "{bundle}"
_LONGEST_SOCKET_BYTES = 107  # sun_path, unix(7)


def plan(home: Home, release: Release, config: Config, formation: Formation) -> RunPlan:
    """Every process of the formation as it is to run."""
    environment = release_environment(home, release, config)
    folder, reads = app_folder(home, release), code_of(home, release)
    return RunPlan(
        release.deploy,
        release.number,
        tuple(
            replace(_process(name, kind, folder, environment), reads=reads)
            for name, kind in formation.processes(release.processes)
        ),
    )


def plan_run(home: Home, release: Release, config: Config, told: tuple[Scheduled, int, str]) -> ProcessPlan:
    """One run of something scheduled: in which slot (`nightly.1`), and the time that it runs for ("": somebody asked)."""
    scheduled, slot, planned = told
    kind = ProcessType(scheduled.name, scheduled.command, grace_s=scheduled.grace_s, limits=scheduled.limits)
    shared = release_environment(home, release, config)
    environment = {**shared, "TRIVET_PLANNED": planned} if planned else shared
    process = _process(f"{scheduled.name}.{slot}", kind, app_folder(home, release), environment)
    return replace(process, reads=code_of(home, release))


def release_environment(home: Home, release: Release, config: Config) -> Mapping[str, str]:
    """What every process of the release has in its environment; nothing of any caller's."""
    bundle = str(home.bundle(release.deploy.app, release.build.id))
    built = {name: value.replace(_BUNDLE, bundle) for name, value in release.build.environment.items()}
    path = f"{built['PATH']}:{_SYSTEM_PATH}" if built.get("PATH") else _SYSTEM_PATH
    return {
        "LANG": "C.UTF-8",
        **defaults(release.build.declarations),
        **config.values,
        **built,
        "PATH": path,
        "TRIVET_APP": release.deploy.app,
        "TRIVET_DEPLOY": release.deploy.name,
        "TRIVET_RELEASE": release.name,
        "TRIVET_COMMIT": release.build.source.commit,
        "TRIVET_STORAGE": str(home.storage(release.deploy)),
    }


def process_environment(
    shared: Mapping[str, str], process: str, temporary: Path, port: int | None
) -> Mapping[str, str]:
    """The shared environment and what differs from process to process."""
    own = {"TRIVET_PROCESS": process, "TMPDIR": str(temporary), "HOME": str(temporary)}
    return {**shared, **own, **({"PORT": str(port)} if port is not None else {})}


def socket_path(temporary: Path) -> Path:
    """The Unix socket on which a `web` process with this temporary folder may listen instead of on its port."""
    return temporary / "web.sock"


def socket_variables(temporary: Path) -> Mapping[str, str]:
    """What tells such a process of it: nothing if the path is longer than the kernel takes."""
    path = str(socket_path(temporary))
    return {"TRIVET_SOCKET": path} if len(os.fsencode(path)) <= _LONGEST_SOCKET_BYTES else {}


def app_folder(home: Home, release: Release) -> Path:
    """Where the release's processes start."""
    return home.bundle(release.deploy.app, release.build.id) / "app" / release.build.folder


def code_of(home: Home, release: Release) -> tuple[Path, ...]:
    """What the release's processes are started from: the bundle, the layers that it leads to, the machine's program."""
    build = release.build
    layers = (home.layers / layer.digest for layer in build.layers)
    runtime = (Path(build.tools[build.runtime].path),) if build.runtime else ()
    return (home.bundle(release.deploy.app, build.id), *layers, *runtime)


def log_path(home: Home, deploy: Deploy, release: int, process: str) -> Path:
    """What a process writes to standard output and error goes here, straight."""
    return home.run(deploy) / "logs" / f"v{release}.{process}.log"


def _process(name: str, kind: ProcessType, folder: Path, environment: Mapping[str, str]) -> ProcessPlan:
    argv, is_exec = shell_argv(kind.command)
    return ProcessPlan(
        name=name,
        argv=argv,
        folder=folder,
        environment=environment,
        has_port=kind.has_port,
        health=kind.health,
        timeout_s=kind.timeout_s,
        settle_s=kind.settle_s,
        grace_s=kind.grace_s,
        ends_as_group=not is_exec,
        check=kind.check,
        limits=kind.limits,
        warm_s=kind.warm_s,
        overlaps=kind.overlaps,
        inherits=kind.inherits,
    )

"""The release command of a release: the Procfile's `release`, run once, before anything of the release starts."""

from trivet.errors import ReleaseCommandFailed
from trivet.flows.installation import Progress
from trivet.flows.present import describe_present, tell_unheld
from trivet.host.cgroups import find_means
from trivet.model.names import RELEASE_PROCESS
from trivet.model.output import Output, Part
from trivet.model.process import find_process_type
from trivet.model.release import Release
from trivet.run import Call, Machine


def run_release_command(machine: Machine, release: Release, progress: Progress) -> None:
    """The release command did what it is for, or there is none. Raises: ReleaseCommandFailed, RunError, MachineError."""
    process = find_process_type(release.processes, RELEASE_PROCESS)
    if process is None:
        return
    progress.step("release", f"release command: {process.command}")
    if unheld := tell_unheld(find_means(), process):
        progress.notice(unheld)
    ran = machine.run_part(release.deploy, release.number, Call(Part.RELEASE), progress.output)
    if ran is None or ran.output.is_good:
        return
    raise ReleaseCommandFailed(
        f"The release command of {release.name} {_told(ran.output, release)}: {process.command}",
        hint=f"{describe_present(machine, release.deploy)}; what the command itself has done stays done. "
        f"{_advice(ran.output)}; `trivet releases output {release.name}` has all that it wrote.",
        detail=ran.last,
    )


def _told(output: Output, release: Release) -> str:
    if not output.is_timed_out:
        return output.told
    limit_s = release.build.release.timeout_s
    return f"took longer than {limit_s:g} s and was ended, with all that it had started"


def _advice(output: Output) -> str:
    if output.is_timed_out:
        return "If it needs longer, say so: [release] timeout in trivet.toml"
    if output.out_of_memory is not None and output.out_of_memory.startswith("limit"):
        return "If it needs more, say so: [processes.release.limits] memory in trivet.toml"
    return "Mend it and deploy again"

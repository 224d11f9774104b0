"""The five cases of a build, each made ready and then measured for Trivet, for docker and for the floor beside them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from docker import Docker
from floor import Floor
from measure import TRIVET, time_command
from sample import Sample

COLD = "cold dependencies"
WARM = "warm cache"
CODE = "lockfile unchanged"
ONE = "one file changed"
NOTHING = "nothing changed"
CASES = (COLD, WARM, CODE, ONE, NOTHING)


@dataclass(frozen=True, slots=True)
class Trivet:
    """`trivet build` of one sample, with a home of its own."""

    sample: Sample
    home: Path

    def build(self) -> float:
        """Seconds that the whole command took."""
        environment = {"TRIVET_HOME": str(self.home)}
        return time_command((*TRIVET, "build"), cwd=self.sample.repository, environment=environment)

    def forget(self, *, downloads: bool) -> None:
        """No build and no layer is left; no download either, if they are to go too."""
        for path in self.home.iterdir() if self.home.exists() else ():
            if path.name == "cache" and not downloads:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@dataclass(frozen=True, slots=True)
class Bench:
    """One sample and all that builds it; `figures` are seconds by case and candidate."""

    sample: Sample
    trivet: Trivet
    floor: Floor
    docker: Docker | None
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def make_ready(self) -> None:
        """Everything was built once, so that every case finds what it takes for granted."""
        self.trivet.build()
        self.floor.install()
        if self.docker:
            self.docker.build(self.sample.repository)

    def measure(self, case: str) -> None:
        """Each candidate has done the case once more."""
        if case == CODE:
            self.sample.change_all()
        if case == ONE:
            self.sample.change_one()
        of_case = self.figures.setdefault(case, {})
        for name, run in self._candidates()[case].items():
            of_case.setdefault(name, []).append(run())

    def _candidates(self) -> Mapping[str, Mapping[str, Callable[[], float]]]:
        build, trivet, floor = self._docker_build, self.trivet, self.floor
        tool = "uv sync" if self.sample.name == "python" else "npm ci"
        bytecode = {"uv sync and bytecode": lambda: floor.install(with_bytecode=True)}
        more = bytecode if self.sample.name == "python" else {}
        copied = "cp" if self.sample.name == "python" else "cp and the app's build command"
        return {
            COLD: {
                "trivet": self._cold,
                **build(self._cold_docker),
                **self._cold_floors({tool: floor.install, **more}),
            },
            WARM: {
                "trivet": self._warm,
                **build(lambda docker: docker.build(self.sample.repository, "--no-cache")),
                tool: floor.install,
                **more,
            },
            CODE: {"trivet": trivet.build, **build(self._again), copied: floor.copy_all},
            ONE: {"trivet": trivet.build, **build(self._again), copied: floor.copy_one},
            NOTHING: {"trivet": trivet.build, **build(self._again)},
        }

    def _docker_build(self, run: Callable[[Docker], float]) -> dict[str, Callable[[], float]]:
        docker = self.docker
        return {"docker build": lambda: run(docker)} if docker else {}

    def _again(self, docker: Docker) -> float:
        return docker.build(self.sample.repository)

    def _cold(self) -> float:
        self.trivet.forget(downloads=True)
        return self.trivet.build()

    def _cold_docker(self, docker: Docker) -> float:
        docker.forget()
        return docker.build(self.sample.repository)

    def _cold_floors(self, floors: Mapping[str, Callable[[], float]]) -> dict[str, Callable[[], float]]:
        return {name: partial(self._without_downloads, run) for name, run in floors.items()}

    def _without_downloads(self, run: Callable[[], float]) -> float:
        self.floor.forget()
        return run()

    def _warm(self) -> float:
        self.trivet.forget(downloads=False)
        return self.trivet.build()

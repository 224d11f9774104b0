"""The floor: the package tool alone, and `cp` of what changed with the app's own build command; no tool around it."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import time_command
from sample import Sample

_UV = str(Path(sys.executable).parent / "uv")


@dataclass(frozen=True, slots=True)
class Floor:
    """One sample's floor, in a folder of its own."""

    sample: Sample
    folder: Path

    def forget(self) -> None:
        """Nothing was ever downloaded."""
        shutil.rmtree(self._cache, ignore_errors=True)

    def install(self, *, with_bytecode: bool = False) -> float:
        """Seconds until the dependencies stand in an empty folder."""
        shutil.rmtree(self._app, ignore_errors=True)
        shutil.copytree(self.sample.repository, self._app, ignore=shutil.ignore_patterns(".git"))
        return self._sync(with_bytecode) if self.sample.name == "python" else self._ci()

    def copy_all(self) -> float:
        """Seconds to copy all of the app's own files and to run its build command."""
        return self._copy(self.sample.modules)

    def copy_one(self) -> float:
        """Seconds to copy the one file that changes and to run the build command."""
        return self._copy(self.sample.module(7))

    @property
    def _app(self) -> Path:
        return self.folder / "app"

    @property
    def _cache(self) -> Path:
        return self.folder / "cache"

    def _sync(self, with_bytecode: bool) -> float:
        bytecode = ("--compile-bytecode",) if with_bytecode else ()
        argv = (_UV, "sync", "--locked", "--no-dev", "--no-install-project", "--python", "/usr/bin/python3", *bytecode)
        environment = {"UV_CACHE_DIR": str(self._cache), "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}
        return time_command(argv, cwd=self._app, environment=environment)

    def _ci(self) -> float:
        argv = ("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
        return time_command(argv, cwd=self._app, environment={"npm_config_cache": str(self._cache)})

    def _copy(self, what: Path) -> float:
        target = self._app / what.relative_to(self.sample.repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        took = time_command(("cp", "-r", f"{what}/." if what.is_dir() else str(what), str(target)))
        return took + (time_command(("npm", "run", "build"), cwd=self._app) if self.sample.name == "node" else 0.0)

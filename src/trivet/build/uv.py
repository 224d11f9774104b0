"""uv: the one that comes with Trivet, from PyPI. https://docs.astral.sh/uv/"""

import importlib.metadata

from trivet.errors import MachineError


def uv_version() -> str:
    """Its version. Raises: MachineError if it is not installed."""
    try:
        return importlib.metadata.version("uv")
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing() from error


def find_uv() -> str:
    """The path of its program. Raises: MachineError if it is not there."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise _missing() from error


def _missing() -> MachineError:
    return MachineError(
        "uv, which comes with Trivet, is missing.",
        hint="Install Trivet again, for example with `pipx reinstall trivet` or `pip install --force-reinstall trivet`.",
    )

"""uv: the one that comes with Trivet, from PyPI. https://docs.astral.sh/uv/"""

import re
from pathlib import Path

from trivet.errors import MachineError


def uv_version() -> str:
    """Its version. Raises: MachineError if it is not installed."""
    try:
        import uv
    except ImportError as error:
        raise _missing() from error
    installed = Path(uv.__file__).parent.parent
    for path in installed.glob("uv-*.dist-info"):  # reading what is in it takes importlib.metadata ten times as long
        if match := re.fullmatch(r"uv-(.+)\.dist-info", path.name):
            return match[1]
    raise _missing()


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

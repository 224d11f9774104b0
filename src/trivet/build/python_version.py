"""The version of Python that an app asks for in `.python-version`: a version, never a program.

uv would take a path, and the name of any file that is there, for an interpreter to run; that is code of the app, at a time
when none may run. https://docs.astral.sh/uv/concepts/python-versions/#requesting-a-version
"""

import re

from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree

FILE = ".python-version"
_VERSION = re.compile(r"(?:[a-z]+[@-]?)?(?:[<>=!~]=?=?)?\d[\w.+,<>=!~*-]*")


def read_python_version(tree: SourceTree) -> str:
    """The first version that the file names, "" if there is none; all its lines name versions. Raises: InvalidFile."""
    own = {path.partition("/")[0] for path in tree.files}
    found = []
    for number, line in enumerate((tree.read(FILE) or "").splitlines(), start=1):
        wanted = line.partition("#")[0].strip()
        if wanted and (wanted in own or not _VERSION.fullmatch(wanted)):
            raise InvalidFile(
                f"{FILE}:{number}: {wanted!r} is no version of Python.",
                hint="Write a version such as 3.12, as `uv python pin 3.12` does.",
            )
        found.extend([wanted] if wanted else [])
    return found[0] if found else ""

"""What the supervisor leaves out of its memory: 1.4 of 15 MB, for things that it never does.

`dataclasses` imports `inspect` (and `ast`, `dis`, `tokenize` with it) to write docstrings, which `-OO` takes away again;
`pathlib` imports `urllib.parse` (and `ipaddress`) for `Path.as_uri`.
"""

import sys
from types import ModuleType


def leave_out() -> None:
    """These modules are in place by name, with what is called of them at import. To be called before any other import."""
    inspect = ModuleType("inspect")
    vars(inspect).update(signature=lambda _: "", unwrap=lambda function: function)
    parse = ModuleType("urllib.parse")
    vars(parse).update(quote_from_bytes=None)
    sys.modules.update({"inspect": inspect, "urllib": ModuleType("urllib"), "urllib.parse": parse})

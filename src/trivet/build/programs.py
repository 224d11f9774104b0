"""Compiled programs as process types: what is obvious, and what to say where nothing is."""

import re
from collections.abc import Sequence

from trivet.model.build_plan import NoDefault
from trivet.model.names import RELEASE_PROCESS, WEB_PROCESS, is_process_type


def processes_of(programs: Sequence[str]) -> dict[str, str]:
    """The only program is the web process; of several, one must be called so, and each becomes a process type.

    All but `release`: that would be run with every deploy, which a name alone does not ask for.
    """
    if len(programs) == 1:
        return {WEB_PROCESS: programs[0]}
    if WEB_PROCESS not in programs:
        return {}
    return {name: name for name in programs if is_process_type(name) and name != RELEASE_PROCESS}


def explain_no_default(programs: Sequence[str]) -> NoDefault:
    """Why `processes_of` has none, with what helps."""
    likely = next((name for name in programs if re.search("server|serve|api|http", name)), programs[0])
    return NoDefault(
        f"the source has the programs {', '.join(programs)}, and none is called web",
        f"Commit a file called Procfile with a line for each that is to run, for example `web: {likely}`; "
        "or build one only, with `programs` in trivet.toml, [build].",
    )

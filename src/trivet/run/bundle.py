"""Bundle: what a release's processes are started from, checked to be what the build stage made before anything starts.

The machine's client does this, once for each command that starts something: it reads every byte. The supervisor does not
when it starts again what crashed, since what it runs is sealed.
"""

from trivet.errors import AlteredLayer
from trivet.host.integrity import Inspection
from trivet.model.build import Build


def check_bundle(inspection: Inspection, build: Build) -> None:
    """Every layer of the build is what was built, and the bundle leads to it. Raises: AlteredLayer, MachineError."""
    faults = inspection.find_faults(build)
    if faults:
        raise AlteredLayer(
            f"Nothing was started from the build {build.id}: {faults[0].told}.",
            hint=f"What runs was not touched. Move {faults[0].path} away and make it anew: trivet deploy "
            f"{build.source.short}. `trivet builds verify` names all that was altered.",
            detail=tuple(fault.told for fault in faults[1:]),
        )

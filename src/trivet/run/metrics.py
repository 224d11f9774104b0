"""What the supervisor can be asked about metrics, and where it is to serve them."""

from typing import Any

from trivet.model.any_version import from_any_version
from trivet.model.endpoint import Endpoint
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.run.supervisor import link

_WITHIN_S = 30.0


@frozen
class Place:
    """Where metrics are to be served, and whether they are."""

    listen: str | None
    served: bool


def read_metrics(home: Home) -> str:
    """All that can be measured now, as text. Raises: SupervisorUnreachable."""
    return str(_ask(home, "metrics"))


def read_place(home: Home) -> Place:
    """Where metrics are served. Raises: SupervisorUnreachable."""
    return from_any_version(Place, _ask(home, "metrics_place"), name="the place")


def serve_metrics(home: Home, endpoint: Endpoint) -> None:
    """They are served there, until somebody ends that. Raises: PortTaken, MachineError, SupervisorUnreachable."""
    _ask(home, "metrics_on", listen=str(endpoint))


def end_metrics(home: Home) -> str | None:
    """They are served nowhere; where they were, if anywhere. Raises: MachineError, SupervisorUnreachable."""
    was = _ask(home, "metrics_off")
    return None if was is None else str(was)


def _ask(home: Home, verb: str, **facts: object) -> Any:
    return link.ask(home, {"do": verb, **facts}, within_s=_WITHIN_S)

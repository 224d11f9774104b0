"""Metrics: what the supervisor can measure, printed once or served."""

from trivet.flows.installation import Installation
from trivet.model.endpoint import Endpoint
from trivet.run import metrics
from trivet.run.metrics import Place


def read_metrics(installation: Installation) -> str:
    """All that can be measured now, in Prometheus' text format. Raises: SupervisorUnreachable."""
    return metrics.read_metrics(installation.home)


def read_place(installation: Installation) -> Place:
    """Where metrics are served. Raises: SupervisorUnreachable."""
    return metrics.read_place(installation.home)


def serve_metrics(installation: Installation, endpoint: Endpoint) -> None:
    """They are served there, also after a reboot. Raises: PortTaken, MachineError, SupervisorUnreachable."""
    metrics.serve_metrics(installation.home, endpoint)


def end_metrics(installation: Installation) -> str | None:
    """They are served nowhere; where they were. Raises: MachineError, SupervisorUnreachable."""
    return metrics.end_metrics(installation.home)

"""FastAPI's own telemetry (``telemetry=``), which sees the requests that FastAPI gets."""

from collections.abc import Mapping

_SIGNALS = ("tracing", "metrics", "logs")


def observes(telemetry: Mapping[str, object] | None) -> bool:
    """Tell whether ``telemetry=`` asks FastAPI to see requests: then an engine may answer none past it.

    Without the argument FastAPI looks for providers too, but then it was not asked for the requests of stubs.
    """
    return telemetry is not None and any(telemetry.get(signal, True) for signal in _SIGNALS)

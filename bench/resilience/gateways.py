"""The gateways that are compared: limen as ``limen serve`` starts it, with its defaults, and the anchors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import PEERS, Peer
from bench.resilience import configs

Argv = Callable[[str, int, Sequence[int], Path], list[str]]
"""Returns the command: its program, its port, those of the targets, and a folder for its files."""


@dataclass(frozen=True, slots=True)
class ResilienceGateway:
    """One column. ``peer`` finds the program and its version; only limen's figures get a verdict."""

    name: str
    peer: Peer
    argv: Argv
    setting: str
    is_limen: bool = field(default=False, kw_only=True)
    by_default: bool = field(default=True, kw_only=True)

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""
        program_path = self.peer.program_path()
        return self.peer.version(program_path) if program_path else None


def _limen(program_path: str, port: int, _targets: Sequence[int], _folder: Path) -> list[str]:
    return [program_path, "-m", "limen", "serve", "limen_resilience:app", "--port", str(port)]


def _with_config(write: Callable[[int, Sequence[int]], str], file: str, *options: str) -> Argv:
    def argv(program_path: str, port: int, targets: Sequence[int], folder: Path) -> list[str]:
        path = folder / file
        path.write_text(write(port, targets))
        return [program_path, *(str(path) if option == "CONFIG" else option for option in options)]

    return argv


def _envoy(write: Callable[[int, Sequence[int]], str]) -> Argv:
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return _with_config(write, "envoy.json", "-c", "CONFIG", *options)


_PEER = {peer.name: peer for peer in PEERS}
RESILIENCE_GATEWAYS = (
    ResilienceGateway("Limen", _PEER["limen direct"], _limen, "compiled, `Upstream(name, [a, b, c])`", is_limen=True),
    ResilienceGateway(
        "Limen interpreted",
        _PEER["limen interpreted"],
        _limen,
        "the sources as they are, `Upstream(name, [a, b, c])`",
        is_limen=True,
        by_default=False,
    ),
    ResilienceGateway("Envoy", _PEER["Envoy"], _envoy(configs.envoy), "`outlier_detection: {}`, round robin"),
    ResilienceGateway(
        "Envoy tuned",
        _PEER["Envoy"],
        _envoy(configs.envoy_tuned),
        "least request, cap 50 %, sweep each second; for GET a per-try timeout of 1 s and 2 retries on other hosts",
    ),
    ResilienceGateway(
        "Envoy retrying all",
        _PEER["Envoy"],
        _envoy(configs.envoy_retrying_all),
        "as tuned, with its retries on one route for all methods",
        by_default=False,
    ),
    ResilienceGateway(
        "HAProxy",
        _PEER["HAProxy"],
        _with_config(configs.haproxy, "haproxy.cfg", "-db", "-f", "CONFIG"),
        "`check` over HTTP and `redispatch` with their defaults, timeouts of 15 s",
    ),
)
"""The columns, in order."""

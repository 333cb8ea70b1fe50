"""Three targets of one service, each a process of its own: made bad and well again from here."""

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.request import Request, urlopen

from bench.peers import HERE
from bench.processes import Program, free_port
from bench.resilience.service import CONTROL, Condition, Received, read_journal

NAMES = ("a", "b", "c")
"""The targets of a fleet."""

Fault = Literal["frozen", "killed", "restarted", "slow", "unavailable", "resetting"]
"""What can happen to a target. A restart is a kill by SIGTERM."""

_CONTROL_TIMEOUT = 30.0  # seconds; a well target answers at once, unless the machine is busy


class TargetProcess:
    """One target. It keeps its port and its journal when its process is replaced."""

    def __init__(self, name: str, folder: Path, cpu: int) -> None:
        """Start it on ``cpu``; it may not listen yet."""
        self.name = name
        self.port = free_port()
        self._folder = folder
        self._cpu = cpu
        self._fault: Fault | None = None
        self._program = self._start()

    @property
    def url(self) -> str:
        """Its address, as an ``Upstream`` takes it."""
        return f"http://127.0.0.1:{self.port}"

    def _start(self) -> Program:
        journal = self._folder / f"{self.name}.journal"
        argv = [sys.executable, "-m", "bench.resilience.service", str(self.port), self.name, str(journal)]
        env = {"PYTHONPATH": str(HERE.parent)}
        return Program(argv, cpu=self._cpu, port=self.port, log=self._folder / f"{self.name}.log", env=env)

    def wait(self) -> None:
        """Wait until it listens."""
        if (problem := self._program.wait()) is not None:
            raise RuntimeError(f"the target {self.name} {problem}")

    def begin(self, fault: Fault) -> None:
        """Make it bad; it must be well."""
        assert self._fault is None, f"{self.name} is {self._fault} already"
        self._fault = fault
        match fault:
            case "frozen":
                self._program.send(signal.SIGSTOP)
            case "killed":
                self._program.kill()
            case "restarted":
                self._program.stop()
            case "slow" | "unavailable" | "resetting":
                self._set(fault)

    def end(self) -> None:
        """Make it well again, if it is not; returns when it listens."""
        match self._fault:
            case None:
                pass
            case "frozen":
                self._program.send(signal.SIGCONT)
            case "killed" | "restarted":
                self._program = self._start()
                self.wait()
            case "slow" | "unavailable" | "resetting":
                self._set("well")
        self._fault = None

    def stop(self) -> None:
        """End its process, frozen or not."""
        self._program.kill()

    def received(self) -> list[Received]:
        """Return what has reached it so far."""
        return read_journal(self._folder / f"{self.name}.journal", self.name)

    def _set(self, condition: Condition) -> None:
        with urlopen(Request(f"{self.url}{CONTROL}{condition}", method="PUT"), timeout=_CONTROL_TIMEOUT):
            pass


@contextmanager
def running_fleet(folder: Path, cpu: int) -> Generator[dict[str, TargetProcess]]:
    """Run the targets within the block, by their names."""
    targets: dict[str, TargetProcess] = {}
    try:
        for name in NAMES:
            targets[name] = TargetProcess(name, folder, cpu)
        for target in targets.values():
            target.wait()
        yield targets
    finally:
        for target in targets.values():
            target.stop()


def received(targets: dict[str, TargetProcess]) -> list[Received]:
    """Return what has reached the whole fleet, in order."""
    return sorted(entry for target in targets.values() for entry in target.received())

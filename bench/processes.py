"""Programs under measurement: each runs on one CPU in a session of its own, whose total CPU time and memory are read."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from socket import create_connection, create_server
from time import monotonic, sleep

TICK = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """Return a port that is free now."""
    with create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Program:
    """A running program. Its child processes stay in its session, so they are included in all figures."""

    def __init__(self, argv: Sequence[str], *, cpu: int, port: int, log: Path, env: Mapping[str, str]) -> None:
        """Start it on ``cpu``; its output goes to ``log``."""
        self.port = port
        self._log = log
        with log.open("wb") as out:
            # taskset, so that threads which it creates at its start are pinned too.
            self._process = subprocess.Popen(
                ["taskset", "-c", str(cpu), *argv],
                env=os.environ | env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait(self) -> str | None:
        """Wait until it listens; return the problem if it does not."""
        deadline = monotonic() + _START_SECONDS
        while monotonic() < deadline and self._process.poll() is None:
            try:
                create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                sleep(0.05)
            else:
                return None
        return f"does not listen on its port: {self.output_tail()}"

    def output_tail(self, most: int = 400) -> str:
        """Return the end of its output, at most so many characters."""
        return self._log.read_text(errors="replace").strip()[-most:] or "it said nothing"

    def cpu_seconds(self) -> tuple[float, float]:
        """Return user and system time of the whole session so far, including ended children."""
        members = self._members()
        user = sum(int(stat[11]) + int(stat[13]) for stat in members) / TICK
        return user, sum(int(stat[12]) + int(stat[14]) for stat in members) / TICK

    def rss(self) -> int:
        """Return the resident bytes of the whole session; shared pages count once per process."""
        return sum(int(stat[21]) for stat in self._members()) * _PAGE_SIZE

    def reset_peak(self) -> None:
        """Reset ``peak`` (proc(5), clear_refs)."""
        for stat in self._members():
            Path(f"/proc/{stat[-1]}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the peak of the resident bytes since ``reset_peak``, summed over the session."""
        lines = [
            line
            for stat in self._members()
            for line in Path(f"/proc/{stat[-1]}/status").read_text().splitlines()
            if line.startswith("VmHWM:")
        ]
        return sum(int(line.split()[1]) * 1024 for line in lines)

    def stop(self) -> int:
        """Stop it and its child processes; return its exit status, which is negative if it had to be killed."""
        self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        return self.kill()

    def kill(self) -> int:
        """Kill it and its child processes, even if they are stopped; return its exit status."""
        self.send(signal.SIGKILL)
        return self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _members(self) -> list[list[str]]:
        """Return the fields after the name in /proc/*/stat (proc(5)), then the id, for every process of the session."""
        members: list[list[str]] = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text().rpartition(") ")[2].split()
                except OSError:
                    continue  # it has ended meanwhile
                if int(fields[3]) == self._process.pid:
                    members.append([*fields, folder.name])
        return members


def busy_seconds(cpu: int) -> float:
    """Return how long ``cpu`` has been busy since the machine started (proc(5)), including stolen time."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{cpu} "))
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def machine() -> dict[str, str]:
    """Return the properties of this machine that affect the figures."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    system = os.uname()
    return {
        "cpu": model,
        "cpus": str(os.cpu_count()),
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        # The build of CPython matters: with profile-guided optimisation (Debian, python.org, the official images) the same
        # code takes a fifth less time than without (pyenv's default).
        "python": f"{sys.version.split()[0]}, {'of the system' if sys.base_prefix == '/usr' else 'built apart'}",
    }


def commit() -> str:
    """Return the short commit, with a plus if the tree has changes."""
    outputs: list[str] = []
    for argv in (
        ["rev-parse", "--short", "HEAD"],
        ["status", "--porcelain", "--", "src", "bench/*.py", "bench/gateways"],
    ):
        done = subprocess.run(["git", "-C", str(_ROOT), *argv], capture_output=True, text=True, check=False)
        outputs.append(done.stdout.strip())
    return (outputs[0] or "unknown") + ("+" if outputs[1] else "")

"""``python tools/checks.py TARGET...``: run targets of the Makefile side by side, and say at the end what became of each.

Targets begin in the order given, ``--lanes`` of them at once (2). ``--last`` names one that runs when all others have gone
well. What a target prints is shown when it has ended, only if it failed, or with ``--verbose``. The summary counts tests.
Where ``CI`` is set, a test that was skipped fails the run: nothing may be missing there. Exit status 1 if anything failed.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed)\b")
_CLOSING = re.compile(r"^(?:=+ )?(\d+ \w+.* in [\d.]+s\b.*)$", re.MULTILINE)
_SKIPPED = re.compile(r"^SKIPPED.*$", re.MULTILINE)


@dataclass
class Ended:
    """What became of one target; ``counts`` are those of pytest's closing line, if it had one."""

    target: str
    status: int
    seconds: float
    output: str

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of tests by what became of them."""
        closing = _CLOSING.findall(self.output)
        return {word.rstrip("s"): int(number) for line in closing for number, word in _COUNT.findall(line)}

    @property
    def skipped(self) -> list[str]:
        """Lines that say what was left out."""
        return _SKIPPED.findall(self.output)

    def __str__(self) -> str:
        """Show one line of the summary."""
        counted = ", ".join(f"{number} {word}" for word, number in self.counts.items())
        return f"{'ok' if not self.status else 'FAILED':8}{self.target:16}{self.seconds:6.0f} s  {counted}"


async def run(target: str, *, verbose: bool) -> Ended:
    """Run one target to its end, and show what it printed if anybody has to see it."""
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("make", "--no-print-directory", target),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
    )
    output, _ = await process.communicate()
    ended = Ended(target, process.returncode or 0, time.monotonic() - started, output.decode(errors="replace"))
    if ended.status or verbose:
        print(f"--- {target} ---\n{ended.output}", flush=True)
    print(ended, flush=True)
    return ended


async def run_all(targets: Sequence[str], *, lanes: int, verbose: bool) -> list[Ended]:
    """Run ``targets``, ``lanes`` at once."""
    free = asyncio.Semaphore(lanes)
    ended: list[Ended] = []

    async def one(target: str) -> None:
        async with free:
            ended.append(await run(target, verbose=verbose))

    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(one(target))
    return ended


def summary(ended: Sequence[Ended], seconds: float, *, ci: bool) -> tuple[str, bool]:
    """Return the text of the end, and whether all is well."""
    counts = {word: sum(one.counts.get(word, 0) for one in ended) for word in ("passed", "failed", "error", "skipped")}
    failed = [one.target for one in ended if one.status]
    skipped = [line for one in ended for line in one.skipped]
    missing = bool(skipped) and ci
    lines = ["", *map(str, ended), *skipped]
    if failed:
        lines.append(f"FAILED: {', '.join(failed)}; what they said is above")
    if missing:
        lines.append("FAILED: where CI is set, nothing may be skipped; install what is missing, as .ci/run does")
    lines.append(f"{'all green' if not failed and not missing else 'not green'} after {seconds:.0f} s")
    wrong = counts["failed"] + counts["error"]
    lines.append(f"{counts['passed']} passed, {wrong} failed, {counts['skipped']} skipped")
    return "\n".join(lines), not failed and not missing


def main(argv: Sequence[str]) -> int:
    """Run what ``argv`` names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--last")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    started = time.monotonic()
    ended = asyncio.run(run_all(options.targets, lanes=options.lanes, verbose=options.verbose))
    if options.last and not any(one.status for one in ended):
        ended.append(asyncio.run(run(options.last, verbose=True)))
    text, well = summary(ended, time.monotonic() - started, ci=bool(os.environ.get("CI")))
    print(text)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

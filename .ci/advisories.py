"""Asks whether a locked package has a known vulnerability: ``python .ci/advisories.py PIP_AUDIT LOCK...``.

pip-audit alone answers "no known vulnerabilities found" with status 0 when its database knows nothing of any package, as
behind an index that mirrors packages without their advisories. An audit that asked nobody has found nothing, so this
counts who was asked. Standard library only, for it runs before anything is installed. The status:

0. every package of every lock was looked up, and none has an advisory
1. at least one has: mend it, whatever else happened
2. the command was called wrongly
3. some package could not be looked up: this is no result
"""

# ruff: noqa: T201 - a command prints
import json
import subprocess
import sys
from typing import Any

_FLAGS = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "30")
_SECONDS = 600


def ask(tool: str, lock: str) -> dict[str, Any] | str:
    """Return pip-audit's report on ``lock``, or why there is none."""
    try:
        done = subprocess.run(  # noqa: S603 - the command line is the Makefile's, and no shell reads it
            [tool, *_FLAGS, "-r", lock], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{tool} did not run to its end: {type(error).__name__}"
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines() or ["it said nothing"]
        return last[-1][:300]
    return report if isinstance(report, dict) else "its report has another form than expected"


def judge(lock: str, report: dict[str, Any] | str) -> tuple[list[str], list[str]]:
    """Return a line per advisory, and a line per reason that nothing is known."""
    if isinstance(report, str):
        return [], [f"{lock}: {report}"]
    packages = report.get("dependencies", [])
    found = [
        f"{lock}: {one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in packages
        for flaw in one.get("vulns", [])
    ]
    skipped = [one["name"] for one in packages if "vulns" not in one]
    if not packages:
        return found, [f"{lock}: no package was read"]
    if skipped:
        return found, [f"{lock}: {len(skipped)} of {len(packages)} packages could not be looked up, {skipped[0]} first"]
    return found, []


def main(argv: list[str]) -> int:
    """Ask about every lock, tell all, and return the status."""
    if len(argv) < 2:
        print("usage: advisories.py PIP_AUDIT LOCK...", file=sys.stderr)
        return 2
    found: list[str] = []
    unknown: list[str] = []
    for lock in argv[1:]:
        flaws, gaps = judge(lock, ask(argv[0], lock))
        found += flaws
        unknown += gaps
    for line in found:
        print(f"VULNERABLE  {line}")
    for line in unknown:
        print(f"NOT ASKED   {line}")
    if unknown:
        print("The advisory database was not reached, or does not know these packages: this audit is no result. Run it")
        print("where PyPI's own JSON API can be reached; an index that only mirrors packages does not have it.")
    if found:
        return 1
    if unknown:
        return 3
    print(f"No known vulnerability in {len(argv) - 1} locks; every package was looked up.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

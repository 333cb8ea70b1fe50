"""``python tests/fuzz/run.py request|response [--seconds N]``: coverage-guided fuzzing of one side, with atheris.

atheris is not in the lock (it is a wheel of 35 MB for few platforms): ``pip install atheris`` first. What is found is kept in
``.fuzz/<side>``: ``corpus`` grows, ``failures`` has one case for each kind of failure. ``--merge`` adds to the committed
corpus what covers more than it does.
"""

import argparse
import importlib
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).parent
COMMITTED = HERE / "corpus"
FOUND = HERE.parent.parent / ".fuzz"

# A case is played whole and in pieces; a larger one is slower and finds no more.
_MOST_BYTES = 2048

# What differs between two failures of one kind.
_VARYING = re.compile(r"b['\"].*|\d+")


def target(side: str) -> Callable[[bytes], object]:
    """Return what plays one case of ``side``; imported here, so that atheris can see the imports."""
    sys.path.insert(0, str(HERE.parent / "support"))
    invariants: Any = importlib.import_module("invariants")
    support: Any = importlib.import_module("in_memory_gateway")
    gateway = support.InMemoryGateway("direct")
    play: Any = invariants.of_requests if side == "request" else invariants.of_answers
    return lambda data: play(gateway, data)


def merge(side: str) -> None:
    """Copy into the committed corpus what was found and takes a way through the gateway that no case there takes."""
    play = target(side)
    known = set[Step]()
    for case in sorted((COMMITTED / side).iterdir()):
        known |= steps(play, case.read_bytes())
    # The small ones first, so that they are the ones that stay.
    for case in sorted((FOUND / side / "corpus").iterdir(), key=lambda one: one.stat().st_size):
        new = steps(play, case.read_bytes()) - known
        if new:
            known |= new
            shutil.copy(case, COMMITTED / side / case.name[:16])


Step = tuple[str, int, int]


def steps(play: Callable[[bytes], object], data: bytes) -> set[Step]:
    """Return from which line to which the gateway went; nothing for a case that fails."""
    found = set[Step]()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        if "/limen/" not in name:
            return None
        before = frame.f_lineno

        def line(frame: FrameType, event: str, _: object) -> Any:
            nonlocal before
            found.add((name, before, before := frame.f_lineno))
            return line

        return line

    sys.settrace(trace)
    try:
        play(data)
    except AssertionError:
        return set()
    finally:
        sys.settrace(None)
    return found


def main() -> None:
    """Fuzz until the time is over; the exit status is 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("request", "response"))
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--merge", action="store_true")
    options = parser.parse_args()
    if options.merge:
        merge(options.side)
        return
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("tests/fuzz/run.py: atheris is not installed; run: .venv/bin/python -m pip install atheris")
    with atheris.instrument_imports(include=["limen"]):
        play = target(options.side)
    corpus, failures = FOUND / options.side / "corpus", FOUND / options.side / "failures"
    for folder in (corpus, failures):
        folder.mkdir(parents=True, exist_ok=True)
    kinds: set[str] = set()

    def one(data: bytes) -> None:
        try:
            play(data)
        except Exception as error:
            # One failure must not hide the next: kept once for each kind, and fuzzing goes on.
            kind = f"{type(error).__name__}: {_VARYING.sub('', str(error))}"[:60]
            if kind not in kinds:
                kinds.add(kind)
                (failures / f"{len(kinds):03}").write_bytes(data)
                (failures / f"{len(kinds):03}.txt").write_text(f"{type(error).__name__}: {error}\n")
                print(f"FAILURE {len(kinds)}: {kind}", flush=True)  # noqa: T201  # a command

    common = [sys.argv[0], f"-max_len={_MOST_BYTES}", "-timeout=20", "-print_final_stats=1"]
    words = f"-dict={HERE / 'http.dict'}"
    committed = str(COMMITTED / options.side)
    atheris.Setup([*common, words, f"-max_total_time={options.seconds}", str(corpus), committed], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Draws ``results.json`` as PNG and SVG. A program of its own, because matplotlib is among the peers, not in the project."""

import json
import sys
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

_OURS, _OTHERS = "#c2410c", "#94a3b8"
_MEASURES = (("cpu", "CPU, microseconds per request"), ("p99", "p99, milliseconds"))


_LONGEST = 4  # medians: a bar that is longer is cut, or it would leave no room for the others


def main(folder: Path) -> None:
    """Draw one row of bars for each scenario."""
    # Looked up by name: the project's own environment, in which this is checked, does not have it.
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    scenarios: list[dict[str, Any]] = results["scenarios"]
    heights = [max(2, sum(bool(row["rounds"]) for row in one["rows"])) + 1.5 for one in scenarios]
    height = 0.34 * sum(heights) + 1
    figure, axes = pyplot.subplots(len(scenarios), 2, figsize=(13, height), height_ratios=heights, squeeze=False)
    for one, line in zip(scenarios, axes, strict=True):
        rows: list[dict[str, Any]] = [row for row in one["rows"] if row["rounds"]][::-1]
        names = [row["peer"] for row in rows]
        colours = [_OURS if name.startswith("limen") else _OTHERS for name in names]
        for axis, (key, label) in zip(line, _MEASURES, strict=True):
            values = [median(found[key] for found in row["rounds"]) for row in rows]
            most = _LONGEST * median(values)
            bars = axis.barh(names, [min(value, most) for value in values], color=colours)
            labels = [f"{value:,.1f}{' (bar cut)' if value > most else ''}" for value in values]
            axis.bar_label(bars, labels, padding=3, fontsize=8)
            axis.set_title(f"{one['title']}: {label}", fontsize=8, loc="left")
            axis.tick_params(labelsize=8)
            axis.margins(x=0.25)
            axis.spines[["top", "right"]].set_visible(False)
    about: dict[str, str] = results["about"]
    where = f"limen {about['commit']}, {about['cpu']}, one CPU for each gateway, {about['date']}"
    figure.suptitle(f"{where}; less is better", fontsize=10, y=1 - 0.1 / height)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.45 / height))
    for kind in ("png", "svg"):
        figure.savefig(folder / f"results.{kind}", dpi=110)
    print(f"Drawn: {folder / 'results.png'} and results.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

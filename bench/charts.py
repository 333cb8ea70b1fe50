"""Draws ``results.json`` as PNG and SVG. A separate program, because matplotlib is installed with the peers only."""

import json
import sys
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

_LIMEN_COLOUR, _OTHER_COLOUR = "#c2410c", "#94a3b8"
_MEASURES = (("cpu", "CPU, microseconds per request"), ("p99", "p99, milliseconds"))

_MAX_BAR = 4  # in medians: longer bars are cut, to leave room for the others


def main(folder: Path) -> None:
    """Draw one row of bars for each scenario."""
    # Imported by name: the project's environment, in which types are checked, does not have it.
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    scenarios: list[dict[str, Any]] = results["scenarios"]
    heights = [max(2, sum(bool(row["rounds"]) for row in scenario["rows"])) + 1.5 for scenario in scenarios]
    height = 0.34 * sum(heights) + 1
    figure, axes = pyplot.subplots(len(scenarios), 2, figsize=(13, height), height_ratios=heights, squeeze=False)
    for scenario, row_of_axes in zip(scenarios, axes, strict=True):
        rows: list[dict[str, Any]] = [row for row in scenario["rows"] if row["rounds"]][::-1]
        names = [row["peer"] for row in rows]
        colours = [_LIMEN_COLOUR if name.startswith("limen") else _OTHER_COLOUR for name in names]
        for axis, (key, label) in zip(row_of_axes, _MEASURES, strict=True):
            values = [median(round_[key] for round_ in row["rounds"]) for row in rows]
            longest = _MAX_BAR * median(values)
            bars = axis.barh(names, [min(value, longest) for value in values], color=colours)
            labels = [f"{value:,.1f}{' (bar cut)' if value > longest else ''}" for value in values]
            axis.bar_label(bars, labels, padding=3, fontsize=8)
            axis.set_title(f"{scenario['title']}: {label}", fontsize=8, loc="left")
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

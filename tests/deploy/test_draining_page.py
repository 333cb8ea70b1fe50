"""docs/draining.md: its numbers, paths and options are those of the code."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from limen import Gateway
from limen.cli import main
from limen.cli.supervisor import MARGIN
from limen.runtime.readiness import MOST_REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "draining.md").read_text()


def number(pattern: str) -> int:
    found = re.search(pattern, PAGE)
    assert found is not None, pattern
    return int(found[1].replace(",", ""))


def test_the_time_that_kubernetes_gives_is_enough() -> None:
    given = number(r"terminationGracePeriodSeconds: (\d+)")
    longest = number(r'"--drain-wait", "(\d+)"') + number(r'"--grace", "(\d+)"') + MARGIN
    assert longest <= given
    assert number(r"plus `--grace` plus (\d+) seconds") >= MARGIN


def test_probes_ask_where_a_gateway_answers() -> None:
    parameters = inspect.signature(Gateway.__init__).parameters
    probes = dict(re.findall(r"(\w+)Probe:\n +httpGet: \{ path: ([^,]+),", PAGE))
    assert probes == {"readiness": parameters["ready_path"].default, "liveness": parameters["live_path"].default}


def test_options_and_bounds_are_those_of_the_command() -> None:
    options: dict[str, Any] = {one.opts[0]: one for one in main.commands["serve"].params}
    for name in ("--drain-wait", "--grace"):
        assert number(rf"\| `{name}` \| `(\d+)` \|") == options[name].default
    assert number(r"at most ([\d,]+)\. 0 suits") == options["--drain-wait"].type.max
    assert number(r"At most (\d+) reasons") == MOST_REASONS


@pytest.mark.parametrize("value", ["-1", "3601", "inf"])
def test_a_wait_is_bounded(value: str) -> None:
    done = CliRunner().invoke(main, ["serve", "gate:app", "--drain-wait", value])
    assert (done.exit_code, "Invalid value for '--drain-wait'" in done.output) == (2, True)


def test_the_example_of_paths_compiles() -> None:
    example = re.search(r"```python\n(app = Gateway\(.*\)).*\n```", PAGE)
    assert example is not None
    space: dict[str, Any] = {"Gateway": Gateway}
    exec(example[1], space)
    app: Gateway = space["app"]
    assert [one.path for one in app.active_config().table.health] == ["/internal/ready"]

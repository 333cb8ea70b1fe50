"""Tracebacks in the log have the types and places of exceptions, and no texts."""

import io
import logging

from limen.observe.redaction import format_traceback, logger


def fails(secret: str) -> None:
    try:
        int(secret)
    except ValueError as error:
        raise RuntimeError(f"not {secret}") from error


def caught(secret: str) -> Exception:
    try:
        fails(secret)
    except RuntimeError as error:
        return error
    raise AssertionError


def test_kinds_places_and_causes_are_told_and_no_text() -> None:
    told = format_traceback(caught("s3cret"))
    first, _, second = told.partition("\n\nwhich led to:\n\n")
    assert first.startswith("builtins.ValueError, most recent call last:\n")
    assert second.startswith("builtins.RuntimeError, most recent call last:\n")
    assert 'in fails\n    raise RuntimeError(f"not {secret}") from error' in second
    assert "s3cret" not in told


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), TypeError()
    one.__cause__, other.__cause__ = other, one
    assert format_traceback(one).count("most recent call last") == 5


def test_a_logger_writes_it_and_handlers_find_the_exception_itself() -> None:
    found = logger("limen.tests.traces")
    assert logger("limen.tests.traces") is found
    assert len(found.filters) == 1
    out = io.StringIO()
    records: list[logging.LogRecord] = []
    handler = logging.StreamHandler(out)
    handler.addFilter(lambda record: records.append(record) or True)
    found.addHandler(handler)
    found.error("it failed", exc_info=caught("s3cret"))
    found.removeHandler(handler)
    assert out.getvalue().startswith("it failed\nbuiltins.ValueError, most recent call last:\n")
    assert "s3cret" not in out.getvalue()
    (record,) = records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)

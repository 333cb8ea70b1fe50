"""The defaults of bounds: all of them in docs/limits.md, in several tables, and some in the pages of features."""

import re
from collections.abc import Mapping
from pathlib import Path

import limen
from doc_tables.bounds import FIXED, GIVEN, bounds, unnamed
from doc_tables.table import Filled, filled, tables
from limen.errors import Kind

_CODE = re.compile(r"\b(\d{3}) `(\w+)`")


def limits(text: str) -> Filled:
    """Fill the column "default" of every table by its column "setting"."""
    done = by_setting(text, bounds())
    unknown = [
        f"limen.{name} is called a bound, and is not in FIXED of tools/doc_tables/bounds.py; name it there, with its unit"
        for name in unnamed(Path(limen.__file__).parent, {*FIXED, *GIVEN})
    ]
    return Filled(done.text, (*done.problems, *unknown, *faults_named(text)))


def some(text: str) -> Filled:
    """Fill the column "default" of those tables that have a column "setting", each row of any bound."""
    found = [table for table in tables(text) if {"default", "setting"} <= set(table.head)]
    named = {row[table.column("setting")] for table in found for row in table.rows}
    values = {setting: {"default": default} for setting, default in bounds().items() if setting in named}
    return filled(text, found, lambda table, row: [row[table.column("setting")]], values)


def by_setting(text: str, known: Mapping[str, str]) -> Filled:
    """Fill every table of a page like this one with the defaults ``known``."""
    values = {setting: {"default": default} for setting, default in known.items()}
    return filled(text, tables(text), lambda table, row: [row[table.column("setting")]], values)


def faults_named(text: str) -> list[str]:
    """Return what is wrong with the answers that the page names, such as 504 `connect_timeout`."""
    known = {kind.code: kind.status for kind in Kind}
    return [
        f"{status} `{code}`: no fault of limen.errors is answered so"
        for status, code in _CODE.findall(text)
        if known.get(code) != int(status)
    ]

"""Tables of README and docs/ whose columns come from the code. ``make access`` writes them, a test in tests/deploy compares.

- docs/limits.md: ``bounds`` says what a row may be of, ``limits`` fills the column "default".
- docs/settings.md and the table of settings in README: ``settings``, from the models of the shop, and ``options``, from the
  commands.
- docs/architecture.md: ``faults``, from ``limen.errors``.
- docs/check.md: ``checks``, from ``limen.checks.finding``.
- docs/fastapi.md: ``fastapi_face``, which has the rows whole.
- docs/access.md: the page that ``limen matrix`` writes; the routes in README: ``routes``.

Each row of a table that is filled has a key: the name of the setting. A row whose key the code does not know is a problem,
and so is a key of the code without a row. What a row says besides is written by hand. To add one, write the row with any
default, and run ``make access``.
"""

"""``python -m limen`` is the command line, for interpreters whose scripts are not on the path."""

from limen.cli.main import main

main(prog_name="limen")

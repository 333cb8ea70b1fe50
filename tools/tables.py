"""``python tools/tables.py``: write what the tables of README and docs/ take from the code; ``--check`` compares instead.

What is told by hand in the same tables is kept. Which table takes what, and how a row is added: ``doc_tables``.
"""

import sys

from doc_tables.pages import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

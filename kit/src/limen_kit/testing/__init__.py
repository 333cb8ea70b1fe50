"""For tests of services: callers as the gateway signs them, a service that runs in the test, and databases.

The fixtures are a pytest plugin, ``limen_kit.testing.fixtures``. What loads much is a module of its own to import:
``contract`` (schemathesis), ``serving`` (uvicorn), ``migrations``. The extra ``limen-kit[testing]`` installs what they need.
"""

from limen_kit.testing.databases import migrate_database, open_database
from limen_kit.testing.postgres import PostgresUnavailable, fresh_database, postgres_server
from limen_kit.testing.services import running
from limen_kit.testing.signer import Signer

__all__ = [
    "PostgresUnavailable",
    "Signer",
    "fresh_database",
    "migrate_database",
    "open_database",
    "postgres_server",
    "running",
]

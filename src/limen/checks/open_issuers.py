"""Outside issuers that sign in more people than is likely meant: those for many tenants that name none.

Anybody can have a tenant at such a provider, and be its administrator. So a good signature says only that the caller is
somebody. A rule that asks for a role may refuse nobody either: who has a tenant may name the roles in it.
"""

from collections.abc import Iterator

from limen.auth.issuer.declared import Issuer
from limen.auth.method import Methods
from limen.checks.finding import Finding, Kind, Place
from limen.checks.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each issuer with ``{tenantid}`` in its name that takes every tenant."""
    several = [subject.app.auth, *(subject.methods(route) for route in subject.routes)]
    for method in Methods(one for methods in several for one in methods):
        if isinstance(method, Issuer) and method.claims.tenants is not None and not method.tenants:
            yield Finding(
                Kind.OPEN_ISSUER,
                Place(name=f"Issuer {method.name}"),
                f"Every tenant of {method.url} may sign in, and anybody can have one.",
                "name those that count, tenants=[...]; if a rule of every route reads claims['tid'], acknowledge it",
            )

"""Policies, for ``policies=[...]`` of a gateway, a group or a route: each changes or answers requests in its own way."""

from limen.policies.headers import Edits, Headers
from limen.policies.redirect import Redirect
from limen.policies.respond import Respond

__all__ = ["Edits", "Headers", "Redirect", "Respond"]

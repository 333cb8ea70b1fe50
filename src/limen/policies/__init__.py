"""What is to happen to requests and answers besides being passed on: ``policies=[...]`` of a gateway, a group or a route."""

from limen.policies.headers import Edits, Headers
from limen.policies.redirect import Redirect
from limen.policies.respond import Respond

__all__ = ["Edits", "Headers", "Redirect", "Respond"]

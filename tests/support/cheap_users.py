"""The users service with cheap password hashes, as a process: ``limen serve cheap_users:app``."""

from pkgutil import resolve_name

from cheap_hashes import REPLACEMENTS

for _name, _value in REPLACEMENTS.items():
    _owner, _, _attribute = _name.rpartition(".")
    setattr(resolve_name(_owner), _attribute, _value)

from shop_users.app import app  # noqa: E402  # it hashes from now on

__all__ = ["app"]

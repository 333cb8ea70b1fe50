"""Whether a route admits callers that another one refuses: the rules are asked about made-up callers, as for the matrix."""

from collections.abc import Callable, Mapping

from limen.auth.api_keys import ApiKeys
from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.exchange.principal import Principal
from limen.runtime.matrix import callers, rule_verdict

_NOBODY_IN_PARTICULAR = "me"


def admits_more(
    lax: Rule,
    lax_methods: Methods,
    lax_params: Mapping[str, str],
    strict: Rule,
    strict_methods: Methods,
    strict_params: Mapping[str, str],
) -> bool:
    """Tell whether some caller is admitted by ``lax``, or perhaps is, and not by ``strict``.

    The ``params`` are those of one request as either route reads it: a caller may own a parameter of both.
    """
    if strict.public or lax.public:
        return lax.public and not strict.public
    if not {id(one) for one in lax_methods} <= {id(one) for one in strict_methods}:
        return True
    takes_tokens = any(not isinstance(one, ApiKeys) for one in lax_methods)
    owned = {lax_params[name] for name in lax.path_params} | {strict_params[name] for name in strict.path_params}
    ids = {name for name in owned if "/" not in name}  # no id of a caller: what %2F in a spelling makes of one
    same_functions = _functions(lax) <= _functions(strict)
    for caller in callers([(lax, lax_methods), (strict, strict_methods)]):
        if caller.credential == "none" or (caller.credential == "token" and not takes_tokens):
            continue
        for name in (_NOBODY_IN_PARTICULAR, *sorted(ids)):
            principal = Principal(name, caller.roles, caller.scopes)
            admitted = rule_verdict(lax, principal, lax_params)
            known = rule_verdict(strict, principal, strict_params)
            if admitted != "403" and known != "allowed" and not (admitted == known == "?" and same_functions):
                return True
    return False


def _functions(rule: Rule) -> set[Callable[..., object]]:
    return {leaf.function or leaf.test for leaf in rule.leaves() if leaf.custom}

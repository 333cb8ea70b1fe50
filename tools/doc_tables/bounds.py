"""What docs/limits.md has a row for, with its default: every bound of ``limen`` that this module finds or names.

1. **Declared.** Every field of a public dataclass (``PUBLIC``) that is a number or a time is found by itself: give it a row
   whose setting is ``Class(field=)``. Floats and timedeltas are times, unless ``SHARES`` names them as parts of a whole, or
   ``FACTORS`` as multiples; whole numbers are counts, unless ``SIZES`` names them as bytes, or ``TIMES`` as seconds.
2. **Fixed.** A constant of a module: name it in ``FIXED`` with its unit, and give it a row whose setting is
   ``fixed: module.NAME``, as it is named here. If it is the default of a setting, it belongs to ``GIVEN``. A constant of
   ``limen`` whose name says that it is a bound (``SAYS_BOUND``) and that is in neither is a problem.
3. **Options** of ``limen serve`` (``OPTIONS``) and of routes, and what follows from another bound (``derived``).

The page's other columns are written by hand. What is missing is told by ``make access``, with the row's key.
"""

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

import limen
import limen.auth
from doc_tables.options import defaults
from doc_tables.units import Unit, count, factor, seconds, share, size
from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.runtime.route import Route

# Modules whose ``__all__`` has what users declare.
PUBLIC: tuple[ModuleType, ...] = (limen, limen.auth)

SIZES = frozenset(
    {
        "Limits(head=)",
        "ClientLimits(request_line=)",
        "ClientLimits(head=)",
        "ClientLimits(chunk_overhead=)",
        "ClientLimits(body_memory=)",
        "Retry(body=)",
        "Issuer(token_size=)",
    }
)
TIMES = frozenset({"Jwt(leeway=)", "Sticky(seconds=)"})
SHARES = frozenset({"Ejection(share=)", "Ejection(most=)", "Ejection(panic=)", "Retry(budget=)", "Split(share=)"})
FACTORS = frozenset({"Hedge(factor=)"})

FIXED: dict[str, Unit] = {
    "compat.services.TIMEOUT": seconds,
    "upstream.answer_meter._MOST_INTERIM": count,
    "upstream.retry.MOST_AT_ONE_TARGET": count,
    "upstream.retry.MOST_ATTEMPTS": count,
    "upstream.retry.MOST_BODY": size,
    "upstream.declared.MOST_TARGETS": count,
    "upstream.balance.MOST_WEIGHT": count,
    "upstream.probes.LONGEST_PROBE": seconds,
    "upstream.live_target.MOST_ROUTES": count,
    "upstream.target_health._LEAST_SHARE": share,
    "upstream.health_check.MOST_CONTENT": size,
    "upstream.health_check.LONGEST_PROBLEM": count,
    "upstream.health_checker.MOST_AT_ONCE": count,
    "upstream.health_checker.JITTER": share,
    "upstream.learned_latency._WINDOW": seconds,
    "upstream.request_sender.HIGH_WATER_MARK": size,
    "upstream.flow_control.MOST_AFTER_RESET": size,
    "upstream.connection._SMALL_PIECE": size,
    "upstream.pool._MOST_CLOSED": count,
    "upstream.private_connections.MOST_PRIVATE": count,
    "upstream.names.FRESH": seconds,
    "upstream.names.OLD": seconds,
    "upstream.names.FAILED": seconds,
    "upstream.names.MOST_THREADS": count,
    "upstream.names.MOST_NAMES": count,
    "upstream.names.QUIET": seconds,
    "upstream.name_watch.RETRY": seconds,
    "upstream.name_watch.LONGEST_LOOK_UP": seconds,
    "upstream.name_watch.MOST_ADDRESSES": count,
    "upstream.happy_eyeballs.DELAY": seconds,
    "upstream.happy_eyeballs.LEAST_DELAY": seconds,
    "upstream.happy_eyeballs.MOST_AT_ONCE": count,
    "runtime.route.MOST_HELD": size,
    "runtime.readiness.MOST_REASONS": count,
    "runtime.target_states.LONGEST_REASON": count,
    "fairness.validations.BYTES_OF_A_VALUE": count,
    "fairness.validations.BYTES_OF_A_CONTAINER": count,
    "fairness.validations.LIGHT": size,
    "fairness.validations.LIGHT_VALUES": count,
    "fairness.validations.MOST_WAITING": count,
    "fairness.validations.MOST_BYTES": size,
    "contract.request_check.MOST_FIELDS": count,
    "contract.form_body.MOST_FIELDS": count,
    "contract.urlencoded.STEP": size,
    "contract.violations.MOST_LISTED": count,
    "http.replies.MOST_ERROR_BYTES": size,
    "contract.violations.MOST_WORDED": count,
    "contract.checker.MOST_SEARCHED": count,
    "auth.jose.compact.MOST_BYTES": size,
    "auth.jose.compact.MOST_HEADER": size,
    "auth.jose.compact.MOST_OUTSIDE_HEADER": size,
    "auth.jose.compact.MOST_SIGNATURE": size,
    "auth.jose.json_object.DEEPEST": count,
    "auth.jose.json_object.MOST_NESTED": count,
    "auth.jose.keys.MOST_KEYS": count,
    "auth.jose.keys.MOST_BYTES": size,
    "auth.assertion.LONGEST": seconds,
    "auth.session_ends.MOST_ENDED": count,
    "auth.identify._MOST_PEEKED": size,
    "auth.issuer.declared.MOST_TOKEN": size,
    "auth.issuer.location.MOST_ISSUER": count,
    "auth.issuer.key_set.MOST_TRIED": count,
    "auth.issuer.live.MOST_WAITING": count,
    "auth.issuer.key_set.MOST_KEYS": count,
    "auth.issuer.key_set.MOST_BITS": count,
    "auth.issuer.key_set.MOST_EXPONENT": count,
    "auth.api_keys_live._MOST_BYTES": size,
    "app.document.service_document.MOST_BYTES": size,
    "app.document.service_document.DEEPEST": count,
    "app.document.service_components.MOST_OBJECTS": count,
    "app.document.sources.FRESH": seconds,
    "app.document.sources.FAILED": seconds,
    "app.document.sources.LONGEST": seconds,
    "cli.server.HANDSHAKE": seconds,
    "cli.handshakes.MOST_HANDSHAKES": count,
    "cli.handshakes.HANDSHAKE_COST": seconds,
    "cli.handshakes._LARGEST_RECORD": size,
    "cli.open_files.RESERVE": count,
    "cli.server._MOST_TURNS": count,
    "engines.direct.body_meter.MOST_FRAMING": size,
    "engines.direct.input_buffer.MOST_WAITING": count,
    "engines.direct.input_buffer.SMALL": size,
    "engines.direct.request_queue.HEAVY": size,
    "engines.direct.input_buffer.STEP": size,
    "engines.direct.input_buffer.STRETCH": size,
    "fairness.scheduler.ROUND": seconds,
    "fairness.scheduler.LONG_READ": size,
    "fairness.scheduler.READ_COST": seconds,
    "fairness.scheduler.SMALL_READS": count,
    "fairness.scheduler.TASK_COST": seconds,
    "fairness.scheduler.CLOSE_COST": seconds,
    "cli.listener._AT_ONCE": count,
    "cli.listener._ALIVE": count,
    "contract.json_body.MOST_CLOSED": count,
    "contract.pruning.MOST_REREAD": size,
    "contract.pruning.STEP": count,
    "fairness.validations.LONG": seconds,
    "fairness.validations.REST": count,
    "engines.asgi.refusal.MOST_DISCARDED": size,
    "engines.direct.protocol.MOST_TURNED_AWAY": count,
    "engines.direct.connection_timer.UNREAD": seconds,
    "pipeline.steps.MOST_HELD": size,
    "engines.asgi.local_body.MOST_COUNTED": size,
    "http.via.MOST_PASSES": count,
    "http.via.MOST_BYTES": size,
    "client.root_path.LONGEST_PREFIX": size,
    "http.forwarded.MOST_ELEMENTS": count,
    "http.forwarded._MOST_NODE": size,
    "http.forwarded._MOST_PARAMETERS": count,
    "routing.pattern.LONGEST_SHARED": count,
    "routing.pattern.LONGEST_NUMBER": count,
    "routing.table.MOST_SPECIALS": count,
    "routing.pattern.MOST_SHARING": count,
    "cli.serve._BACKLOG": count,
    "cli.serve._MOST_MESSAGE": size,
    "cli.serve._MOST_MESSAGES": count,
    "observe.writer.MOST_BYTES": size,
    "observe.handler.DRAIN": seconds,
    "observe.access.MOST_KEPT": count,
    "observe.access.DELAY": seconds,
    "observe.access.LINES": count,
    "observe.access.MOST_PATH": count,
    "observe.access.MOST_CALLER": count,
    "observe.access.MOST_CAUSE": count,
    "observe.access._MOST_METHOD": count,
    "observe.access._MOST_PEER": count,
    "observe.access._MOST_TARGET": count,
    "observe.access._MOST_KNOWN": count,
    "cli.token._MOST_SHOWN": count,
    "cli.token._MOST_NAMES": count,
    "cli.worker_protocol.LIFESPAN": seconds,
    "cli.worker_process.START": seconds,
    "cli.heartbeat.SILENCE": seconds,
    "cli.heartbeat.BETWEEN_KILLS": seconds,
    "cli.supervisor._LONGEST_PAUSE": seconds,
    "cli.supervisor._SILENT_BEATS": count,
    "cli.state_lines.LONGEST_LINE": size,
    "cli.state_lines.MOST_STATES": count,
    "cli.state_lines.GATHER": seconds,
    "cli.state_outbox._MOST_LINES": count,
    "cli.source_changes.QUIET": seconds,
    "cli.source_changes.LONGEST": seconds,
    "cli.reload.GRACE": seconds,
    "cli.reload.END": seconds,
    "cli.worker_protocol.LONGEST": size,
    "cli.unavailable_server.HEAD": size,
    "cli.unavailable_server.HEAD_TIME": seconds,
    "cli.unavailable_server.CONNECTIONS": count,
    "cli.unavailable_server.LINGER": seconds,
    "cli.topology.MAX_TARGETS": count,
    "cli.up._READY_TIMEOUT": seconds,
    "cli.service_processes._LONGEST_DELAY": seconds,
    "cli.process.GRACE": seconds,
}
# Constants that are the defaults of settings which no dataclass has.
GIVEN: dict[str, tuple[str, Unit]] = {
    "auth.revocation_live.MOST": ("Revocations(most=)", count),
    "client.limits.MOST_CONNECTIONS": ("ClientLimits(connections=)", count),
}

SAYS_BOUND = re.compile(r"_?(?:MOST|MAX|LONGEST|LARGEST|DEEPEST)(?:_\w+)?")

_ASSIGNED = re.compile(r"^(\w+)(?:: [^=\n]+)? = ", re.MULTILINE)

OPTIONS: dict[str, Unit] = {"--grace": seconds, "--drain-wait": seconds}


def bounds() -> dict[str, str]:
    """Return the default of every bound by its key: what the column "setting" has, as it is written there."""
    found = {f"`{name}`": text for name, text in declared(PUBLIC)}
    found |= {f"fixed: `{name}`": unit(constant(name)) for name, unit in FIXED.items()}
    found |= {f"`{setting}`": unit(constant(name)) for name, (setting, unit) in GIVEN.items()}
    options = defaults("serve")
    found |= {f"`{name}`": unit(options[name]) for name, unit in OPTIONS.items()}
    return found | derived()


def declared(modules: tuple[ModuleType, ...]) -> Iterator[tuple[str, str]]:
    """Yield every number and time that a public dataclass of ``modules`` has, with its default."""
    for module in modules:
        for exported in module.__all__:
            kind = getattr(module, exported)
            if isinstance(kind, type) and is_dataclass(kind):
                hints = get_type_hints(kind)
                for field in fields(kind):
                    name = f"{exported}({field.name}=)"
                    unit = unit_of(name, hints[field.name])
                    if unit is not None:
                        yield name, "none: required" if field.default is MISSING else unit(field.default)


def unit_of(name: str, kind: object) -> Unit | None:
    """Return the unit of the setting ``name`` of the type ``kind``; None is for what bounds nothing."""
    kinds: set[object] = set(get_args(kind)) if get_origin(kind) in (Union, UnionType) else {kind}
    if name in SHARES:
        return share
    if name in FACTORS:
        return factor
    if kinds & {float, timedelta} or name in TIMES:
        return seconds
    if int in kinds:
        return size if name in SIZES else count
    return None


def constant(name: str) -> object:
    """Return the constant of ``limen`` that ``name`` leads to. Raises ValueError where there is none."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(f"limen.{module}"), attribute)
    except (ImportError, AttributeError):
        raise ValueError(f"FIXED in tools/doc_tables/bounds.py: there is no limen.{name}; has it moved?") from None


def unnamed(package: Path, known: Container[str]) -> Iterator[str]:
    """Yield the constants below ``package`` whose names say that they are bounds, and that ``known`` does not have."""
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for name in _ASSIGNED.findall(path.read_text(encoding="utf-8")):
            if SAYS_BOUND.fullmatch(name) and f"{module}.{name}" not in known:
                yield f"{module}.{name}"


def derived() -> dict[str, str]:
    """Return what follows from another bound, and the defaults of a route: those of a small gateway's routes."""
    app = Gateway()
    service = Upstream("service", ["http://service:8000"])

    def take(body: _Body) -> _Body: ...

    def stream() -> None: ...

    verb: Callable[..., Callable[[Any], Any]] = app.post
    verb("/declared", upstream=service, allow=anyone)(take)
    verb("/stream", upstream=service, allow=anyone)(stream)
    body, plain = _routes(app)
    return {
        "a 64th of `Limits(head=)`": count(Limits().head // 64),
        "`Limits(head=)`, once more": size(Limits().head),
        "`Timeouts(first_byte=)`, once more": seconds(Timeouts().first_byte),
        "`max_body=`, where a body is declared": size(body.max_body),
        "`max_body=`, where it streams": size(plain.max_body),
        "`max_answer=`": size(body.max_answer),
        "`max_body_size=`": size(app.router.max_body_size),
    }


class _Body(BaseModel):
    """Something declared."""


def _routes(app: Gateway) -> tuple[Route, ...]:
    return app.declared()

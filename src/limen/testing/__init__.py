"""For tests of gateways: services in the same process, faults, time that the test moves, callers, and fakes."""

from limen.testing.caller import as_caller, token_for
from limen.testing.clock import Clock
from limen.testing.in_process import serving
from limen.testing.issuer import IssuerService
from limen.testing.log import flush_log
from limen.testing.network import ServiceMissing
from limen.testing.policy import EveryHook, Record
from limen.testing.request import make_request
from limen.testing.runtime import drained, snapshot
from limen.testing.services import Service, WithServices
from limen.testing.upstream import (
    Conversation,
    Script,
    ScriptedUpstream,
    answer,
    hanging,
    refusing,
    resetting,
    saying,
    slowly,
    unreachable,
)

__all__ = [
    "Clock",
    "Conversation",
    "EveryHook",
    "IssuerService",
    "Record",
    "Script",
    "ScriptedUpstream",
    "Service",
    "ServiceMissing",
    "WithServices",
    "answer",
    "as_caller",
    "drained",
    "flush_log",
    "hanging",
    "make_request",
    "refusing",
    "resetting",
    "saying",
    "serving",
    "slowly",
    "snapshot",
    "token_for",
    "unreachable",
]

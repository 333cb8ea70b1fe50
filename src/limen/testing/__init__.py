"""For tests of gateways: services in the same process, faults, time that the test moves, callers, and fakes."""

from limen.testing.caller import as_caller, token_for
from limen.testing.clock import Clock
from limen.testing.conversation import Conversation, Script
from limen.testing.fleet import Fleet
from limen.testing.freeze import Stops
from limen.testing.in_process import serving
from limen.testing.issuer import IssuerService
from limen.testing.log import flush_log
from limen.testing.network import ServiceMissing
from limen.testing.policy import EveryHook, Record
from limen.testing.recording import ReceivedRequest
from limen.testing.request import make_request
from limen.testing.runtime import drained, snapshot
from limen.testing.scripts import (
    Stage,
    answer,
    delayed,
    dripping,
    flapping,
    garbage,
    hanging,
    refusing,
    resetting,
    resetting_at,
    saying,
    slowly,
    statuses,
    unreachable,
)
from limen.testing.services import Service, WithServices
from limen.testing.target import ScriptedTarget
from limen.testing.upstream import ScriptedUpstream

__all__ = [
    "Clock",
    "Conversation",
    "EveryHook",
    "Fleet",
    "IssuerService",
    "ReceivedRequest",
    "Record",
    "Script",
    "ScriptedTarget",
    "ScriptedUpstream",
    "Service",
    "ServiceMissing",
    "Stage",
    "Stops",
    "WithServices",
    "answer",
    "as_caller",
    "delayed",
    "drained",
    "dripping",
    "flapping",
    "flush_log",
    "garbage",
    "hanging",
    "make_request",
    "refusing",
    "resetting",
    "resetting_at",
    "saying",
    "serving",
    "slowly",
    "snapshot",
    "statuses",
    "token_for",
    "unreachable",
]

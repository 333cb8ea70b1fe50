"""For tests of gateways: a scripted service, the state of a running gateway, and its access log."""

from limen.testing.log import flush_log
from limen.testing.policy import EveryHook, Record
from limen.testing.request import make_request
from limen.testing.runtime import drained, snapshot
from limen.testing.upstream import Conversation, Script, ScriptedUpstream, saying

__all__ = [
    "Conversation",
    "EveryHook",
    "Record",
    "Script",
    "ScriptedUpstream",
    "drained",
    "flush_log",
    "make_request",
    "saying",
    "snapshot",
]

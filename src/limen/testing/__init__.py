"""Fakes that tests of gateways need, our own included, and what such tests may ask of a gateway."""

from limen.testing.log import flush_log
from limen.testing.policy import EveryHook, Record
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
    "saying",
    "snapshot",
]

"""Fakes that tests of gateways need, our own included."""

from limen.testing.upstream import Conversation, Script, ScriptedUpstream, saying

__all__ = ["Conversation", "Script", "ScriptedUpstream", "saying"]

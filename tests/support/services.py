"""What a service in a test may be, where nothing depends on it."""

from limen.testing import Conversation

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def ready(conversation: Conversation) -> None:
    """Answer whatever is asked, for as long as the connection lasts."""
    while True:
        await conversation.request()
        await conversation.say(OK)

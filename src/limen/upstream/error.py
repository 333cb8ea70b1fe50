"""The exception for a failed attempt."""

from limen.errors import Fault


class UpstreamError(Exception):
    """An attempt that failed.

    ``sent`` says whether any byte of the request was written, ``reused`` whether the connection had served before,
    ``answered`` whether any byte of an answer had come. Together they decide whether a retry is safe.
    """

    def __init__(self, fault: Fault, *, sent: bool = False, reused: bool = False, answered: bool = False) -> None:
        """Keep the facts."""
        super().__init__(f"{fault.kind.code}: {fault.cause or fault.text}")
        self.fault = fault
        self.sent = sent
        self.reused = reused
        self.answered = answered

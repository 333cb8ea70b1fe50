"""What becomes of answers of the services."""

from typing import Any

from auth import encode_access_token


def access_token_generate_handler(data: dict[str, Any]) -> dict[str, str]:
    """Return a token for the user who has logged in; the record itself stays here."""
    return {"access_token": encode_access_token(data), "token_type": "bearer"}

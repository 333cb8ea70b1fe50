"""A service that nobody has told whose word for a caller counts does not start, and one line says what to set."""

from pathlib import Path

import pytest

from commands import running


@pytest.mark.parametrize("service", ["users", "orders", "suppliers"])
async def test_a_service_without_a_decision_about_identity_ends_with_one_line(
    tmp_path: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IDENTITY_KEYS", raising=False)
    async with running(tmp_path, "serve", f"shop_{service}.app:app", "--port", "0") as command:
        assert await command.ends() == 1
    first = command.text.partition("\n")[0]
    assert "IDENTITY_KEYS is not set" in first
    assert "IDENTITY_KEYS=plain believes request-user-id from whoever does" in first
    assert "Traceback" not in command.text

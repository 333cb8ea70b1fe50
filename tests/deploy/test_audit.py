"""What ``make audit`` says: an audit that asked nobody is no result, and no secret is in the tree."""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
# What a clone does not have: environments, caches, data and builds (see .gitignore).
NOT_OURS = {"__pycache__", "node_modules", "htmlcov", "dist", "build", "bundles"}


def files() -> Iterator[Path]:
    """Yield every file of the tree that is ours; hidden folders are, with the names in ``.ci``, those of tools."""
    for folder, names, entries in os.walk(ROOT):
        names[:] = [
            name
            for name in names
            if name not in NOT_OURS and not name.endswith(".egg-info") and (not name.startswith(".") or name == ".ci")
        ]
        for entry in entries:
            path = Path(folder, entry)
            if path.is_file() and not path.is_symlink() and path.suffix not in {".pyc", ".sqlite3", ".db"}:
                yield path


# Kinds of secrets, each with what a text must have, in lower case, to be worth a look, and its form. Each form is written so
# that it does not find itself here.
SECRETS = {
    "a private key": (("private key-",), re.compile(r"-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}\s+[A-Za-z0-9+/]{40}")),
    "a signed token": ((".eyj",), re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}")),
    "a forge's token": (
        ("gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-"),
        re.compile(r"\b(?:gh[oprsu]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})"),
    ),
    "a package index's token": (("pypi-age",), re.compile(r"\bpypi-AgE[\w-]{50,}")),
    "a cloud's key": (
        ("akia", "asia", "aiza"),
        re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}\b"),
    ),
    "a chat's token": (("xox",), re.compile(r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}")),
    "a payment key": (("k_live_",), re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}")),
    "a password in an address": (
        ("://",),
        re.compile(r"\b[a-z][a-z0-9+]*://[\w.-]+:([^\s/@:'\"`{}$<>*]{3,})@[\w.-]+"),
    ),
    "a long secret in an assignment": (
        ("secret", "token", "passw", "apikey", "api_key"),
        re.compile(r"(?i)(?:secret|token|passw(?:or)?d|api_?key)\w*['\"]?\s*[:=]\s*['\"]([A-Za-z0-9+/_=-]{24,})['\"]"),
    ),
}
# Words that stand for a secret in examples and tests, and unlock nothing.
STAND_INS = {
    *("password", "secret", "s3cret", "a-key-for-this-test-only-0123456789abcdef"),
    # The same, with what an address cannot hold as it is, or as it is written there instead.
    *(
        "s3cret#x",
        "s3cret?x",
        "12?s3cret",
        "a[s3cret",
        "secret?x",
        "1#secret",
        "a[secret",
        "p%2Fw",
        "a%2Fb%23c%3Fd%40e",
    ),
}


def secrets(text: str) -> list[str]:
    """Return the kinds of secrets that ``text`` has; what is a stand-in is none."""
    lower = text.lower()
    return [
        kind
        for kind, (hints, form) in SECRETS.items()
        if any(hint in lower for hint in hints)
        for found in form.finditer(text)
        if not (found.groups() and found[1] in STAND_INS)
    ]


def test_no_secret_is_in_the_tree() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): kinds
        for path in files()
        if (kinds := secrets(path.read_text(errors="replace")))
    }
    assert not found, "take it out, and have whoever issued it revoke it: it may have been pushed"


def test_no_file_of_secrets_is_in_the_tree() -> None:
    names = {".env", "id_rsa", "id_ed25519", "id_ecdsa", ".netrc", ".pypirc"}
    assert not [path for path in files() if path.name in names or path.suffix in {".key", ".pem", ".p12", ".pfx"}]


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (("-----BEGIN ", "PRIVATE KEY-----\n", "A" * 64), "a private key"),
        (("eyJ" + "a" * 20, ".eyJ", "b" * 20, ".", "c" * 43), "a signed token"),
        (("gh", "p_", "a" * 36), "a forge's token"),
        (("git", "hub_pat_", "a" * 60), "a forge's token"),
        (("gl", "pat-", "a" * 20), "a forge's token"),
        (("py", "pi-AgE", "a" * 50), "a package index's token"),
        (("AK", "IA", "A" * 16), "a cloud's key"),
        (("AI", "za", "a" * 35), "a cloud's key"),
        (("xo", "xb-", "1" * 10), "a chat's token"),
        (("sk", "_live_", "a" * 20), "a payment key"),
        (("postgres", "://shop:", "Tr0ub4dor", "@db/shop"), "a password in an address"),
        (("SECRET_KEY", ' = "', "k" * 32, '"'), "a long secret in an assignment"),
        (("'my_API", "key': '", "k" * 24, "'"), "a long secret in an assignment"),
    ],
)
def test_secrets_are_recognized(parts: tuple[str, ...], kind: str) -> None:
    assert secrets("".join(parts)) == [kind]


# --- advisories ---


@pytest.fixture(scope="module")
def advisories() -> ModuleType:
    spec = importlib.util.spec_from_file_location("advisories", ROOT / ".ci" / "advisories.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD: dict[str, object] = {"name": "h11", "version": "0.16.0", "vulns": []}
BAD = {"name": "h11", "version": "0.14.0", "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}]}
SKIPPED = {"name": "h11", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("output", "status", "says"),
    [
        (json.dumps({"dependencies": [GOOD]}), 0, "every package was looked up"),
        (json.dumps({"dependencies": [GOOD, BAD]}), 1, "h11 0.14.0: CVE-2025-43859, mended in 0.16.0"),
        (json.dumps({"dependencies": [BAD, SKIPPED]}), 1, "NOT ASKED"),
        (json.dumps({"dependencies": [GOOD, SKIPPED]}), 3, "1 of 2 packages could not be looked up"),
        (json.dumps({"dependencies": []}), 3, "no package was read"),
        ("[]", 3, "another form"),
        ("", 3, "it said nothing"),
    ],
)
def test_an_audit_that_asked_nobody_is_no_result(
    advisories: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, status: int, says: str
) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!{sys.executable}\nprint({output!r}, end='')\n")
    tool.chmod(0o755)
    assert advisories.main([str(tool), "some.lock"]) == status
    assert says in capsys.readouterr().out


def test_a_tool_that_is_missing_is_told(advisories: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert advisories.main(["/nowhere/pip-audit", "some.lock"]) == 3
    assert "FileNotFoundError" in capsys.readouterr().out
    assert advisories.main([]) == 2


def test_the_lock_of_the_audit_has_hashes_and_names_no_index() -> None:
    text = (ROOT / "audit.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert "\npip-audit==" in text
    assert text.count("==") <= text.count("--hash=sha256:")

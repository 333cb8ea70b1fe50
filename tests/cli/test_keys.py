"""``limen keys``: a folder of keys from the first one to the last, and what a gateway makes of it. No key is ever shown."""

import asyncio
import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from limen.auth.jose.keys import Keys
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.cli.keys import new, rotate, show
from limen.cli.main import main
from limen.exchange.principal import Principal
from tokens import NOW

PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")


def run(*argv: str | Path, status: int = 0) -> str:
    """Return what ``limen keys argv`` says; it ends with ``status``."""
    result = CliRunner().invoke(main, ["keys", *map(str, argv)])
    assert result.exit_code == status, result.output
    return result.output


def members(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def rows(folder: Path) -> list[dict[str, Any]]:
    return json.loads(run("list", "--json", "--directory", folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "keys"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA", "RS256", "HS256"])
def test_a_first_key(folder: Path, algorithm: str) -> None:
    said = run("new", "--directory", folder, "--algorithm", algorithm)
    (path,) = folder.glob("*.json")
    assert re.fullmatch(rf"(\d{{8}}-[0-9a-f]{{12}}) \({algorithm}\) signs from now on: {re.escape(str(path))}\n", said)
    assert [oct(each.stat().st_mode & 0o777) for each in (folder, path)] == ["0o700", "0o600"]
    (member,) = members(folder)
    assert (path.name, member["alg"], member["use"]) == (f"{member['kid']}.jwk.json", algorithm, "sig")
    config = Jwt(keys=Keys.directory(folder))
    found = Verifier(config).verify(issue(config, 7, "admin", NOW).encode(), NOW)
    assert isinstance(found, Principal)
    assert sorted(each.name for each in folder.iterdir()) == [".lock", path.name]


def test_es256_is_the_default_and_keys_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "(ES256) signs" in run("new")
    assert len(list((tmp_path / "keys").glob("*.json"))) == 1
    assert "ES256" in run("list")


def test_no_second_first_key(folder: Path) -> None:
    run("new", "--directory", folder)
    said = run("new", "--directory", folder, status=1)
    assert f"{folder} has keys; to replace the one that signs: limen keys rotate" in said
    assert len(members(folder)) == 1


def test_rotation_overlaps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new(folder, "ES256", now=NOW)
    config = Jwt(keys=Keys.directory(folder))
    verifier = Verifier(config)
    token = issue(config, 7, "admin", NOW).encode()
    (first,) = members(folder)
    rotate(folder, None, 3600, now=NOW + 100)
    assert "verifies until 2027-01-15 09:01:40 UTC" in capsys.readouterr().out
    assert sorted((each.get("exp"), each["alg"]) for each in members(folder) if "exp" in each) == [
        (NOW + 3700, "ES256")
    ]
    assert isinstance(verifier.verify(token, NOW + 101), Principal)
    again = issue(config, 7, "admin", NOW + 101).encode()
    assert isinstance(verifier.verify(again, NOW + 101), Principal)
    assert first["kid"] in {each["kid"] for each in config.public_jwks(NOW + 3699)["keys"]}
    assert first["kid"] not in {each["kid"] for each in config.public_jwks(NOW + 3700)["keys"]}


def test_rotation_may_change_the_algorithm_and_removes_what_has_long_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new(folder, "HS256", now=NOW)
    rotate(folder, "EdDSA", 60, now=NOW + 1000)
    rotate(folder, None, 60, now=NOW + 2000)
    assert sorted(each["alg"] for each in members(folder)) == ["EdDSA", "EdDSA", "HS256"]
    capsys.readouterr()
    rotate(folder, None, 60, now=NOW + 1060 + 86400)
    assert "(HS256) had ended, and was removed" in capsys.readouterr().out
    assert sorted(each["alg"] for each in members(folder)) == ["EdDSA"] * 3
    show(folder, as_json=False, public=False, now=NOW + 1060 + 86400)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["KID", "ALGORITHM", "CREATED", "STATE"]
    assert lines[1].endswith("  EdDSA      2027-01-16 08:17:40 UTC  signs")
    assert lines[2].endswith("  EdDSA      2027-01-15 08:33:20 UTC  verifies until 2027-01-16 08:18:40 UTC")
    assert lines[3].endswith("  EdDSA      2027-01-15 08:16:40 UTC  ended 2027-01-15 08:34:20 UTC")


def test_an_overlap_of_zero_ends_all_former_keys(folder: Path) -> None:
    new(folder, "ES256", now=NOW)
    config = Jwt(keys=Keys.directory(folder))
    first = issue(config, 7, "admin", NOW).encode()
    rotate(folder, None, 3600, now=NOW + 10)
    second = issue(config, 7, "admin", NOW + 10).encode()
    rotate(folder, None, 0, now=NOW + 20)
    verifier = Verifier(Jwt(keys=Keys.directory(folder)))
    for token in (first, second):
        assert not isinstance(verifier.verify(token, NOW + 20), Principal)


def test_without_a_key_there_is_nothing_to_rotate(folder: Path) -> None:
    assert "has no keys to replace; make the first: limen keys new" in run("rotate", "--directory", folder, status=1)
    assert run("list", "--json", "--directory", folder) == "[]\n"
    assert "No such" not in run("list", "--directory", folder / "nowhere")
    assert json.loads(run("list", "--public", "--directory", folder)) == {"keys": []}


def test_key_files_of_others_are_not_rewritten(folder: Path) -> None:
    run("new", "--directory", folder)
    (path,) = folder.glob("*.json")
    path.rename(folder / "mine.json")
    said = run("rotate", "--directory", folder, status=1)
    assert re.search(r'mine.json was not written by limen keys: add "exp" to its key \d', said)
    assert len(members(folder)) == 1
    (folder / "bad.json").write_text("{")
    for command in ("list", "rotate", "new"):
        assert "bad.json: neither a JSON object" in run(command, "--directory", folder, status=1)


def test_algorithms_that_are_not_made_here(folder: Path) -> None:
    run("new", "--directory", folder, "--algorithm", "HS256")
    (path,) = folder.glob("*.json")
    member = json.loads(path.read_text()) | {"alg": "HS512", "k": "A" * 86}
    path.write_text(json.dumps(member))
    assert "keys for HS512 are not made here; name one with --algorithm" in run(
        "rotate", "--directory", folder, status=1
    )
    assert "(HS256) signs from now on" in run("rotate", "--directory", folder, "--algorithm", "HS256")


def test_a_disk_that_is_full_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("new", "--directory", folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert f"{folder}: No space left on device" in run("rotate", "--directory", folder, status=1)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_keys_that_others_can_read_are_refused(folder: Path) -> None:
    run("new", "--directory", folder)
    (path,) = folder.glob("*.json")
    path.chmod(0o644)
    assert f"keep them out: chmod 600 {path}" in run("list", "--directory", folder, status=1)


def test_lists_show_no_key(folder: Path) -> None:
    for algorithm in ("ES384", "HS256", "EdDSA"):
        if folder.exists():
            run("rotate", "--directory", folder, "--algorithm", algorithm, "--overlap", "15")
        else:
            run("new", "--directory", folder, "--algorithm", algorithm)
    texts = [run("list", *options, "--directory", folder) for options in ([], ["--json"], ["--public"])]
    for member in members(folder):
        for name in PRIVATE:
            assert not any(member.get(name, "no such thing") in text for text in texts)
    states = sorted((each["state"], each["algorithm"]) for each in rows(folder))
    assert states == [("signs", "EdDSA"), ("verifies", "ES384"), ("verifies", "HS256")]
    assert all(each["created"] > NOW / 2 for each in rows(folder))
    published = json.loads(texts[2])["keys"]
    assert sorted(each["kty"] for each in published) == ["EC", "OKP"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["new", "--algorithm", "none"], "'none' is not one of"),
        (["rotate", "--overlap", "-1"], "not in the range"),
        (["rotate", "--overlap", "soon"], "not a valid float"),
    ],
)
def test_options_that_make_no_sense(folder: Path, argv: list[str], message: str) -> None:
    assert message in run(*argv, "--directory", folder, status=2)
    assert not folder.exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert "is a file" in run("new", "--directory", tmp_path / "a", status=2)
    assert "Not a directory" in run("new", "--directory", tmp_path / "a" / "b", status=1)


async def limen(*argv: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "limen", "keys", *map(str, argv)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_several_at_once_leave_one_key_that_signs(folder: Path) -> None:
    made = await asyncio.gather(*(limen("new", "--directory", folder) for _ in range(3)))
    assert sorted(status for status, _ in made) == [0, 1, 1], made
    assert len(members(folder)) == 1
    rotated = await asyncio.gather(*(limen("rotate", "--directory", folder) for _ in range(3)))
    assert [status for status, _ in rotated] == [0, 0, 0], rotated
    assert sorted("exp" in each for each in members(folder)) == [False, True, True, True]
    assert [each["state"] for each in rows(folder)].count("signs") == 1
    names = [each.name for each in folder.iterdir()]
    assert not [name for name in names if not re.fullmatch(r"\.lock|\d{8}-\w{12}\.jwk\.json", name)]


def test_a_folder_without_keys_is_said_to_be_so(folder: Path) -> None:
    said = run("list", "--directory", folder)
    assert f"{folder} has no keys; make the first: limen keys new --directory {folder}" in said

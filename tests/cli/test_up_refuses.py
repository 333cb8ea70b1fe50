"""``limen up`` when it cannot run: a mistake in the file or the options, a taken port, a command or service that fails."""

import socket
from pathlib import Path

import pytest

from commands import running

TWO = '[services.a]\napp="plain:app"\nport=1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[services", "cannot be read"),
        ("", "services: Field required"),
        ('[services.a]\napp="plain:app"', "services.a.port: Field required"),
        ('[services.a]\napp="plain"\nport=1', "services.a.app: String should match pattern"),
        ('[services.a]\napp="plain:app"\nport="9"', "services.a.port: Input should be a whole number, without quotes"),
        ('[services.a]\napp="plain:app"\nport=9.0', "services.a.port: Input should be a whole number"),
        ('[services.a]\napp="plain:app"\nport=true', "services.a.port: Input should be a whole number"),
        ('[services.a]\napp="plain:app"\nport=1\nenv={X=1}', "services.a.env.X: Input should be a string, in quotes"),
        ('[services.a]\napp="plain:app"\nport=1\ndir=1', "services.a.dir: Input should be a path, in quotes"),
        ('[services.a]\napp="plain:app"\nport=1\nbefore="x"', "services.a.before: Input should be an array"),
        ('[services.a]\napp="plain:app"\nport=1\nenv="X=1"', "services.a.env: Input should be a table"),
        ("[services]\na=1", "services.a: Input should be a table"),
        ('[services.a]\napp="plain:app"\nport=70000', "services.a.port: Input should be less than or equal to 65535"),
        ('[services.a]\napp="plain:app"\nport=1\nenvv={}', "services.a.envv: Extra inputs are not permitted"),
        (
            '[services.a]\napp="plain:app"\nport=1\n[services.b]\napp="plain:app"\nport=1',
            "services.b.port: 1 is also that of a",
        ),
        ('[services.a]\napp="plain:app"\nport=1\nenv={X="${c.url}"}', "services.a.env.X: nothing is called ${c.url}"),
        (f"{TWO}targets=0", "services.a.targets: Input should be greater than or equal to 1"),
        (f"{TWO}targets=33", "services.a.targets: Input should be less than or equal to 32"),
        (f'{TWO}targets="two"', "services.a.targets: Input should be a whole number, without quotes"),
        (f"{TWO}targets=true", "services.a.targets: Input should be a whole number"),
        (f"{TWO}targets=2.0", "services.a.targets: Input should be a whole number"),
        (
            f'{TWO}targets=2\n[services.a-2]\napp="plain:app"\nport=9',
            "services.a-2: this is also the name of a target of a, which has 2; call the service something else",
        ),
        (
            f'{TWO}targets=2\n[services.b]\napp="plain:app"\nport=9\nenv={{X="${{a.url}}"}}',
            "services.b.env.X: ${a.url}: a has 2 targets; write ${a.urls} for all, or ${a-1.url} for one",
        ),
        (
            f'[up]\nbanner="${{a.port}}"\n{TWO}targets=2',
            "up.banner: ${a.port}: a has 2 targets; write ${a.urls} for all, or ${a-1.port} for one",
        ),
        (
            '[services.a]\napp="plain:app"\nport=65535\ntargets=2',
            "services.a.targets: no port above 65535 is left for a-2; choose one for it: --port a-2=PORT",
        ),
        ('[up]\nbanner="${c.url}"\n[services.a]\napp="plain:app"\nport=1', "up.banner: nothing is called ${c.url}"),
    ],
)
@pytest.mark.processes_measured
async def test_up_tells_what_is_wrong_with_the_file(folder: Path, text: str, said: str) -> None:
    (folder / "limen.toml").write_text(text)
    async with running(folder, "up") as command:
        assert await command.ends() == 1
    assert said in command.text
    assert "limen.toml" in command.text
    assert "Traceback" not in command.text


async def test_up_without_a_file_says_what_to_do(folder: Path) -> None:
    async with running(folder, "up") as command:
        assert await command.ends() == 1
    assert "there is no limen.toml; write one, or name it with --file" in command.text


@pytest.mark.parametrize("port", ["a", "b=1", "a=x", "a=0", "a=70000"])
async def test_up_refuses_a_bad_port(folder: Path, port: str) -> None:
    (folder / "limen.toml").write_text('[services.a]\napp="plain:app"\nport=1\n')
    async with running(folder, "up", "--port", port) as command:
        assert await command.ends() == 2
    assert "write NAME=PORT, with a port of 1-65535 and one of: a" in command.text


async def test_up_says_when_a_port_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={port}\n')
        async with running(folder, "up") as command:
            assert await command.ends() == 1
    assert f"port {port}, for a, cannot be used" in command.text
    assert "--port a=PORT" in command.text


async def test_up_names_the_targets_whose_ports_may_be_chosen(folder: Path) -> None:
    (folder / "limen.toml").write_text(f"{TWO}targets=2")
    async with running(folder, "up", "--port", "a-3=9") as command:
        assert await command.ends() == 2
    assert "--port a-3=9: write NAME=PORT, with a port of 1-65535 and one of: a, a-1, a-2" in command.text


async def test_up_refuses_two_targets_on_one_port(folder: Path) -> None:
    (folder / "limen.toml").write_text(f'{TWO}targets=2\n[services.b]\napp="plain:app"\nport=9\n')
    async with running(folder, "up", "--port", "a-2=9") as command:
        assert await command.ends() == 1
    assert "services.b.port: 9 is also that of a-2; give each its own" in command.text


async def test_up_says_which_target_finds_its_port_taken(folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = taken.getsockname()[1]
        (folder / "limen.toml").write_text(f"{TWO}targets=2")
        async with running(folder, "up", "--port", f"a={port}", "--port", f"a-2={other}") as command:
            assert await command.ends() == 1
    assert f"port {other}, for a-2, cannot be used" in command.text
    assert "--port a-2=PORT" in command.text


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            "python -c 'print(\"why\"); raise SystemExit(3)'",
            "failed with exit status 3; everything is stopped. Its last line: why",
        ),
        ("no-such-program-here", "a: 'no-such-program-here' cannot run"),
    ],
)
async def test_up_ends_when_a_first_command_fails(folder: Path, port: int, before: str, said: str) -> None:
    (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={port}\nbefore=["""{before}"""]\n')
    async with running(folder, "up") as command:
        assert await command.ends() == 1
    assert said in command.text


async def test_up_ends_when_a_setting_is_bad(folder: Path, port: int) -> None:
    (folder / "strict.py").write_text("raise ValueError('SECRET is too short')")
    (folder / "limen.toml").write_text(f'[services.a]\napp="strict:app"\nport={port}\n')
    async with running(folder, "up") as command:
        assert await command.ends() == 1
    assert "Error: a ended with exit status 1; everything is stopped. Its last line: " in command.text
    assert command.text.rstrip().splitlines()[-1].count("SECRET is too short") == 1

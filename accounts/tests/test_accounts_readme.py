"""The README of the accounts: its service is started as it says, up to the server itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_tables_are_made_as_the_readme_says(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n# service.py\n(.*?)```", README, re.DOTALL)
    (tmp_path / "service.py").write_text(code)
    section = README.partition("## Run it")[2]
    commands = re.findall(r"```console\n(.*?)```", section, re.DOTALL)[0]
    before_the_server, uvicorn, _ = commands.partition("python -m uvicorn service:app")
    assert uvicorn
    importable = 'python -c "import service"\n'
    done = subprocess.run(  # the commands of our own page
        ["/bin/sh", "-ec", before_the_server + importable],
        cwd=tmp_path,
        env={
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the database is up to date" in done.stdout

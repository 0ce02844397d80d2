"""What is special about the namespace level: where Python lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from pathlib import Path
from evolve.plugins import BuildContext
from evolve.sandbox.namespace import Config
provider = Config().build(BuildContext(Path()))
provider.prepare()
with provider.open() as sandbox:
    print(sandbox.exec([*sandbox.python, "-c", "import sys; print(sys.prefix)"], timeout_s=30).stdout.strip())
provider.close()
"""


@pytest.mark.usefixtures("namespace")
def test_a_python_below_tmp_is_seen(tmp_path: Path) -> None:
    """A checkout and its environment may lie below /tmp, which is covered by the sandbox's own."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [str(home / "bin" / "python"), "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(home), done.stderr

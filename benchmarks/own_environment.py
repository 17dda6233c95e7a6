"""A virtual environment for a peer whose packages do not go together with ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hybridret.errors import InputError

_HIDDEN = "ENVIRONMENT"


class NotRunError(Exception):
    """A peer cannot be installed or run; the message is one line that says why, without the machine's own paths."""


class OwnEnvironment:
    """A folder with a Python of its own; see the module.

    Args:
        folder: Where; made by ``install``, or one that ``install`` or ``python -m venv`` made before.
        python: The interpreter that makes it.
    """

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder, self._maker = folder.absolute(), python
        self._python = str(self.folder / "bin" / "python")

    def install(self, requirements: Path) -> None:
        """Makes the environment where there is none, and installs what the requirements pin and it lacks.

        Args:
            requirements: A requirements file of pip.

        Raises:
            InputError: The folder holds something that is no environment.
            NotRunError: The environment cannot be made, or a package cannot be installed.
        """
        if not (self.folder / "pyvenv.cfg").is_file() and self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} holds files and is no virtual environment")
        if self._called([self._python, "-I", "-m", "pip", "--version"]).returncode != 0:
            self._checked("python -m venv", [self._maker, "-m", "venv", str(self.folder)])
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        installing = [self._python, "-I", "-m", "pip", "install", *quiet, "--requirement", str(requirements)]
        self._checked("pip install", installing)

    def versions(self) -> dict[str, str]:
        """The version of Python and of each package that is installed, by name.

        Raises:
            NotRunError: The environment does not answer.
        """
        script = "import platform; print(platform.python_version())"
        python = self._checked("python", [self._python, "-I", "-c", script]).strip()
        listing = [self._python, "-I", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
        packages = json.loads(self._checked("pip list", listing))
        return {"python": python, **{each["name"]: each["version"] for each in packages}}

    def run(self, module: str, arguments: Sequence[str]) -> str:
        """Runs a module as ``python -m``, apart from our own packages and from the current folder.

        Args:
            module: Its name.
            arguments: Its command line.

        Returns:
            What it wrote on stdout.

        Raises:
            NotRunError: It failed.
        """
        return self._checked(module, [self._python, "-I", "-m", module, *arguments])

    def _checked(self, name: str, command: Sequence[str]) -> str:
        done = self._called(command)
        if done.returncode != 0:
            told = _reason(done.stderr).replace(str(self.folder), _HIDDEN)
            raise NotRunError(f"{name} ended with exit code {done.returncode}: {told}")
        return done.stdout

    def _called(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command; one that cannot be started ends with 127, as in a shell."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        try:
            return subprocess.run(command, capture_output=True, text=True, env=ours)
        except OSError as error:
            return subprocess.CompletedProcess([], 127, "", f"{type(error).__name__}: {error.strerror}")


def _reason(stderr: str) -> str:
    """The last line that is no warning."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-1] if lines else "it said nothing"

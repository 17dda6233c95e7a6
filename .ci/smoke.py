"""Runs the installed wheel, away from the sources: index a folder, search it, and the console script."""

import json
import subprocess
import sys
from pathlib import Path

import hybridret

assert "site-packages" in hybridret.__file__, hybridret.__file__
command = str(Path(sys.executable).parent / "hybridret")
Path("corpus").mkdir()
Path("corpus/garden.md").write_text("# Garden\n\nTomatoes want sun and water.")
Path("corpus/music.txt").write_text("A violin has four strings.")
subprocess.run([command, "index", "corpus", "-o", "bundle"], check=True)
found = subprocess.run([command, "search", "bundle", "how many strings?", "--json"], check=True, capture_output=True)
assert json.loads(found.stdout)["hits"][0]["id"] == "music.txt", found.stdout
failed = subprocess.run([command, "search", "nowhere", "x"], capture_output=True, text=True)
assert failed.returncode == 2, failed
assert len(failed.stderr.splitlines()) == 1, failed.stderr
print("smoke test of the installed wheel: passed")

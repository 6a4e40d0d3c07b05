"""The small programs in driver/, through which tests reach single policies."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("KVREPLAY_DRIVERS", ROOT / "build" / "release" / "tests"))


def run_driver(name: str, *arguments: object, stdin: bytes) -> bytes:
    """What a driver prints."""
    done = subprocess.run([FOLDER / name, *map(str, arguments)], input=stdin, check=True, capture_output=True)
    return done.stdout

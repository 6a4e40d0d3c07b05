"""What the Python tests share: the program under test and a results file that it wrote."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "experiments" / "demo.yaml"


@pytest.fixture(scope="session")
def kvreplay() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program (`KVREPLAY`, else the release build) in the repository's root; it must succeed."""
    program = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
    if not program.exists():
        pytest.fail(f"{program} does not exist; build it first or set KVREPLAY")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([program, *arguments], check=False, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def demo_run(kvreplay, tmp_path_factory) -> Callable[..., Path]:
    """Runs 32 steps of the demo with more settings and returns the results file."""

    def run(*settings: str) -> Path:
        out = tmp_path_factory.mktemp("results") / "demo.h5"
        options = [word for setting in ("run.steps=32", *settings) for word in ("--set", setting)]
        kvreplay("run", DEMO, "-o", out, *options)
        return out

    return run


@pytest.fixture(scope="session")
def demo_results(demo_run) -> Path:
    """The results file of 32 steps of the demo; not to be changed."""
    return demo_run()

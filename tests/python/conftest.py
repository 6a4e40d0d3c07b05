"""What the Python tests share: the program, a results file that it wrote, and tiny models to capture from."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "experiments" / "demo.yaml"

# The capture runs from the source tree, on one thread (small models are slower on more) and offline; and so
# does the package, in the processes that tests start too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(ROOT / "traces" / "capture"))
sys.path.insert(0, str(ROOT / "python"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT / "python"), os.environ.get("PYTHONPATH"))))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random models, one per family; made only when a test asks for them."""
    from capture_models import FAMILIES, save_model, tiny_config

    root = tmp_path_factory.mktemp("models")
    return {family: save_model(root / family, tiny_config(family)) for family in FAMILIES}


def heed_interrupts() -> None:
    """Before the program starts: a shell lets what runs in its background ignore SIGINT, and nohup SIGHUP,
    these tests too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def program_path() -> Path:
    """The program: `KVREPLAY`, else the release build."""
    program = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay")).absolute()
    if not program.exists():
        pytest.fail(f"{program} does not exist; build it first or set KVREPLAY")
    return program


@pytest.fixture(scope="session")
def kvreplay(program_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program in the repository's root; it must succeed."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program_path, *arguments], check=False, cwd=ROOT, capture_output=True, text=True
        )
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

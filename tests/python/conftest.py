"""Shared by all Python tests: where the project lies, one torch thread, no network."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(ROOT / "traces" / "capture"))


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

"""The folders of the source know one another in one direction; see docs/architecture.md."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^#include "([^"]+/)?([^"/]+)"', re.MULTILINE)

# Each folder may include itself and what stands before it in its line.
BELOW = {
    "sim/base": [],
    "sim/interfaces": ["sim/base"],
    "sim/kernels": ["sim/base", "sim/interfaces"],
    "sim/calibration": ["sim/base"],
    "traces": ["sim/base"],
    "policies": ["sim/base", "sim/interfaces", "sim/kernels", "sim/calibration"],
    "examples": ["sim/base", "sim/interfaces", "sim/kernels"],
    "models": ["sim/base", "sim/interfaces", "sim/kernels"],
    "sim/config": ["sim/base", "sim/interfaces"],
    "sim/results": ["sim/base", "sim/interfaces"],
}
ROOMS = ["walk", "heads", "memory", "timing", "recording"]
UNDER_ENGINE = ["sim/base", "sim/interfaces", "sim/kernels", "traces", "sim/config", "sim/results"]
for index, room in enumerate(ROOMS):
    BELOW[f"sim/engine/{room}"] = UNDER_ENGINE + [f"sim/engine/{below}" for below in ROOMS[:index]]
BELOW["sim/engine/statistics"] = [*UNDER_ENGINE, "sim/engine/walk", "sim/engine/heads"]
BELOW["sim/engine"] = UNDER_ENGINE + [f"sim/engine/{room}" for room in ROOMS]
BELOW["sim/sweep"] = [*UNDER_ENGINE, "sim/engine", "sim/engine/timing", "sim/engine/walk"]
BELOW["sim/cli"] = [folder for folder in BELOW if folder != "policies"]


def sources() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", "*.cpp", "*.hpp"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split() if not name.startswith("tests/")]


def folder_of(name: str) -> str:
    """The folder of BELOW that a file is in: the longest."""
    inside = [folder for folder in BELOW if name.startswith(f"{folder}/")]
    assert inside, f"{name}: no folder of the house; give it one in test_arrows.py and docs/architecture.md"
    return max(inside, key=len)


def test_includes_point_down() -> None:
    wrong = []
    for name in sources():
        folder = folder_of(name)
        for path, file in INCLUDE.findall((ROOT / name).read_text()):
            if not path:  # made by the build
                continue
            other = folder_of(path + file)
            if other != folder and other not in BELOW[folder]:
                wrong.append(f"{name} includes {path}{file}: {folder} knows nothing of {other}")
    assert not wrong, "\n".join(wrong)


def test_a_policy_includes_no_other_interfaces_policies() -> None:
    """policies/ has a folder for each interface; what several share lies beside them."""
    wrong = []
    for name in sources():
        parts = name.split("/")
        if parts[0] == "policies" and len(parts) > 2:
            for path, file in INCLUDE.findall((ROOT / name).read_text()):
                if path.startswith("policies/") and path != "policies/" and path.split("/")[1] != parts[1]:
                    wrong.append(f"{name} includes {path}{file}")
    assert not wrong, "\n".join(wrong)


def test_folders_have_rooms() -> None:
    """No folder of more than 24 files of C++ (12 pairs) without rooms of its own."""
    sizes: dict[str, int] = {}
    for name in sources():
        parent = str(Path(name).parent)
        sizes[parent] = sizes.get(parent, 0) + 1
    assert not {folder: size for folder, size in sizes.items() if size > 24}

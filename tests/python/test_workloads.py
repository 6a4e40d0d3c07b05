"""The texts that long traces are recorded from are what their documents say."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_needles_are_those_that_the_script_plants(project_root: Path) -> None:
    folder = project_root / "traces" / "workloads"
    made = subprocess.run(
        [sys.executable, folder / "plant_needles.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (folder / "needles.json").read_text(encoding="utf-8")


def test_every_needle_is_told_before_it_is_asked_for(project_root: Path) -> None:
    conversation = json.loads((project_root / "traces" / "workloads" / "needles.json").read_text())
    told = ""
    for question, answer in zip(conversation[::2], conversation[1::2], strict=True):
        told += question["content"]
        assert answer["content"] in told
        owner = answer["content"].removeprefix("The number of ").split(" is ")[0]
        assert question["content"].endswith(f"What is the number of {owner}?")
    assert len(conversation) == 76


def test_the_requests_are_all_the_users(project_root: Path) -> None:
    requests = json.loads((project_root / "traces" / "workloads" / "answer.json").read_text())
    assert [message["role"] for message in requests] == ["user"] * 41

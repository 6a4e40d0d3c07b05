"""What scripts/paper-dynakv makes of configurations, and when it runs an experiment again."""

import sys
from pathlib import Path
from threading import Event

import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))

import dynakv_run
from dynakv_run import SAMPLE, Task, copy_configs, experiment_files, of_models, parsed, run, run_all, scaled


@pytest.mark.parametrize(
    ("text", "larger"),
    [
        ("system: {dram: 5890KiB}", "system: {dram: 11780KiB}"),
        ("cache: {capacity: 3KiB, scope: model}", "cache: {capacity: 6KiB, scope: model}"),
        ("system.dram: [10KiB, 5KiB]  # 7KiB", "system.dram: [20KiB, 10KiB]  # 7KiB"),
        ("layout: {page_buffer: 4KiB}", "layout: {page_buffer: 4KiB}"),
        ("system: {representatives: dram}", "system: {representatives: dram}"),
        ("dram: 0B", "dram: 0B"),
    ],
)
def test_dram_and_caches_grow_with_the_trace_and_nothing_else(text: str, larger: str) -> None:
    assert scaled(text, 2) == larger


def test_points_of_other_models_are_left_out() -> None:
    text = yaml.safe_dump(
        {"name": "x", "points": {"qwen2.5-3b / A": {}, "mistral-7b / A": {}, "oneplus_12 / B": {}}}
    )
    assert list(yaml.safe_load(of_models(text, ["mistral-7b"]))["points"]) == [
        "mistral-7b / A",
        "oneplus_12 / B",
    ]
    assert of_models(text, ["mistral-7b", "qwen2.5-3b"]) == text


def test_configurations_are_copied_as_they_are_for_the_sample(tmp_path: Path) -> None:
    copied = copy_configs(SAMPLE, tmp_path, None)
    names = {path.stem for path in experiment_files(copied)}
    assert "f10_systems" in names and "base" not in names and dynakv_run.RIG not in names
    for path in experiment_files(copied):
        assert path.read_text() == (ROOT / "configs" / path.relative_to(copied)).read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dynakv")


def task_on(folder: Path, *settings: str) -> Task:
    config = copy_configs(SAMPLE, folder, None) / "paper" / "dynakv" / "f12_continuity.yaml"
    return Task(config, SAMPLE, folder, ("run.steps=4", "run.seeds=1", *settings))


def test_what_is_there_is_not_run_again_and_what_differs_is(kvreplay, folder: Path) -> None:
    task = task_on(folder)
    assert not task.is_done()
    assert run_all([task])
    assert task.is_done()
    written = task.results.stat().st_mtime_ns
    assert run_all([task_on(folder)])
    assert task.results.stat().st_mtime_ns == written
    assert not task_on(folder, "run.check=end").is_done()
    model = task.config.parent / "models" / "qwen2.5-1.5b.yaml"
    model.write_text(model.read_text() + "# changed\n")
    assert not task.is_done()
    other = task_on(folder).config.with_stem("f13_updates")
    other.write_text(other.read_text() + "# changed\n")
    assert task.is_done()


def test_what_fails_leaves_what_was_there_and_starts_nothing_more(kvreplay, folder: Path, capsys) -> None:
    good = task_on(folder)
    assert run_all([good])
    before = good.results.read_bytes()
    assert not run_all([task_on(folder, "run.no_such_key=1")])
    assert "no_such_key" in capsys.readouterr().err
    assert good.results.read_bytes() == before
    stopped = Event()
    stopped.set()
    assert not run(task_on(folder, "run.check=end"), stopped)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.h5"], "no trace 'nowhere.h5'"),
        (["--models", "mistral-7b"], "qwen2.5-1.5b"),
        (["--only", "f99"], "no experiment f99"),
        (["--fast"], "--fast"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], said: str, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        parsed(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err

"""The JSON Schema under an independent validator: it accepts every file of configs/ and refuses slips."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT

# Those of the workflow in configs/cluster are Snakemake's; tests/python/test_cluster.py runs them.
CONFIGS = sorted(
    set((ROOT / "configs").rglob("*.yaml")) - set((ROOT / "configs" / "cluster").rglob("*.yaml"))
)

GOOD: dict[str, Any] = {
    "include": ["../devices/a.yaml", "b.yaml"],
    "name": "good",
    "trace": {"path": "t.h5"},
    "system": {
        "clustering": "token",
        "stages": [
            {"scorer": {"type": "exact"}, "budget": {"type": "fraction", "share": 0.1}, "fold": "max"},
        ],
        "layout": {"type": "token_order"},
        "cache": {"capacity": "64MiB"},
    },
    "run": {"seed": 3, "threads": 2, "working_set": "unlimited"},
    "points": {"one": {"include": "x.yaml", "system": {"cache": {"scope": "head"}}}, "two": None},
    "sweep": {"run.seed": [1, 2]},
}


@pytest.fixture(scope="module")
def validator(kvreplay) -> jsonschema.Draft202012Validator:
    schema = json.loads(kvreplay("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def changed(path: str, value: object) -> dict[str, Any]:
    """GOOD with the value at a dotted path replaced or added."""
    config = copy.deepcopy(GOOD)
    node: Any = config
    *parents, last = path.split("/")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[last] = value
    return config


def test_configs_are_there() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_configuration_file_fits(validator: jsonschema.Draft202012Validator, path: Path) -> None:
    validator.validate(yaml.safe_load(path.read_text()))


def test_a_full_configuration_fits(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(GOOD)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nam", "x"),
        ("run/sed", 1),
        ("run/seed", "x"),
        ("run/seed", -1),
        ("run/threads", 257),
        ("run/threads", 1.5),
        ("run/working_set", 64),
        ("run/working_set", "64K"),
        ("run/working_set", "64MiB "),
        ("record", {"per_step": "maybe"}),
        ("trace", "t.h5"),
        ("system/clustering", "tokn"),
        ("system/clustering", {"type": "tokn"}),
        ("system/clustering", {"type": "token", "iterations": 3}),
        ("system/clustering", {"no_such_parameter": 3}),
        ("system/stages", {}),
        ("system/tiers", [{"name": "dram"}] * 9),
        ("system/stages/0/fold", "median"),
        ("system/stages/0/budget", {"type": "fraction", "share": 2}),
        ("system/stages/0/budget", {"type": "fraction", "share": "much"}),
        ("system/cache/capacity", 0),
        ("points", {"one": {"sweep": {}}}),
        ("sweep", {"run.seed": 1}),
        ("sweep", {"run.seed": []}),
        ("include", {"a": "b"}),
    ],
)
def test_slips_are_refused(validator: jsonschema.Draft202012Validator, path: str, value: object) -> None:
    assert not validator.is_valid(changed(path, value)), f"{path}: {value!r} passes"

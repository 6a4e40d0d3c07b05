"""TinyServe ranks pages by Quest's bound, so that every number of a run is Quest's."""

from pathlib import Path

import h5py
import numpy as np

CONFIG = """
name: tinyserve
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml, {configs}/models/smollm2-135m.yaml]
trace: {{path: {trace}}}
run: {{steps: 48}}
record: {{host_timing: false}}
sweep:
  system: [{configs}/systems/quest.yaml, {configs}/systems/tinyserve.yaml]
  system.clustering.page_tokens: {{values: [8, 16, 32], name: page}}
"""


def test_every_number_is_that_of_quest(kvreplay, project_root: Path, tmp_path: Path) -> None:
    config = tmp_path / "tinyserve.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=project_root / "traces" / "samples" / "smollm2.h5"
        )
    )
    kvreplay("run", config, "-o", tmp_path / "out.h5")
    compared = 0
    with h5py.File(tmp_path / "out.h5") as results:
        systems = [one.decode() for one in results["system"][:]]
        quest, tiny = ([i for i, name in enumerate(systems) if name == one] for one in ("quest", "tinyserve"))
        assert len(quest) == len(tiny) == 3
        for name, data in results.items():
            if not isinstance(data, h5py.Dataset) or "formula" not in data.attrs:
                continue
            np.testing.assert_array_equal(data[quest], data[tiny], err_msg=name)
            compared += 1
    assert compared > 30

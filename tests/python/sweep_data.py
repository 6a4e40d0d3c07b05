"""What tests of sweeps look at in a results file."""

from pathlib import Path

import h5py


def simulated(path: Path) -> dict[str, bytes]:
    """Every dataset that does not depend on the machine, by its name."""
    found: dict[str, bytes] = {}

    def take(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("host/", "provenance/")):
            found[name] = item[()].tobytes()

    with h5py.File(path) as results:
        results.visititems(take)
    return found


def is_complete(path: Path) -> bool:
    with h5py.File(path) as results:
        return bool(results.attrs["complete"])

"""Traces that are damaged or made to do harm: refused in words, in little time and memory, never a crash."""

import hashlib
import os
import random
import resource
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
MEMORY_BYTES = 1_500_000_000
SHAPE = ["--layers", "2", "--head-dim", "8", "--prompt", "64", "--steps", "8", "--clusters", "4"]
DAMAGED_FILES = 240
SEED = 20


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def kvreplay(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "--quiet", *arguments],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        preexec_fn=limit_memory,
        env=os.environ | environment,
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A small synthetic trace, with strings of fixed length; not to be changed."""
    path = tmp_path_factory.mktemp("traces") / "sound.h5"
    assert kvreplay("trace", "synth", path, *SHAPE).returncode == 0
    return path


@pytest.fixture(scope="module")
def variable(sound, tmp_path_factory) -> Path:
    """The same with strings of variable length and data in one piece, as older writers leave them."""
    path = tmp_path_factory.mktemp("traces") / "variable.h5"
    with h5py.File(sound) as old, h5py.File(path, "w") as new:

        def text(value: object) -> object:
            return value.decode() if isinstance(value, bytes) else value

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                dataset = new.create_dataset(name, data=item[()])
                dataset.attrs.update({key: text(value) for key, value in item.attrs.items()})

        new.attrs.update({key: text(value) for key, value in old.attrs.items()})
        old.visititems(copy)
    return path


@pytest.fixture(scope="module")
def configuration(tmp_path_factory) -> Path:
    """Replays whatever `--set trace.path=` says."""
    path = tmp_path_factory.mktemp("configuration") / "c.yaml"
    parts = ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/kmeans_contiguous_lru")
    includes = ", ".join(str(ROOT / "configs" / f"{part}.yaml") for part in parts)
    path.write_text(f"include: [{includes}]\ntrace: {{path: nowhere.h5}}\n")
    return path


def copy_of(path: Path, folder: Path) -> Path:
    copy = folder / "t.h5"
    copy.write_bytes(path.read_bytes())
    return copy


# --- Damage ---


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` cut short or with a few bytes changed, half of them at the front, where the structure is."""
    changed = bytearray(data)
    kind = rng.choice(["flip", "byte", "zeros", "ones", "copy", "number", "cut"])
    if kind == "cut":
        return data[: rng.randrange(len(data))]
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(rng.choice([min(8192, len(data)), len(data)]))
        size = rng.choice([1, 2, 4, 8])
        if kind == "flip":
            changed[place] ^= 1 << rng.randrange(8)
            continue
        elsewhere = rng.randrange(len(data) - size)
        number = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63, len(data)]) % 256**size
        patch = {
            "byte": rng.randbytes(1),
            "zeros": bytes(size),
            "ones": b"\xff" * size,
            "copy": data[elsewhere : elsewhere + size],
            "number": number.to_bytes(size, "little"),
        }[kind]
        changed[place : place + len(patch)] = patch
    return bytes(changed[: len(data)])


@pytest.mark.parametrize("base", ["sound", "variable"])
def test_a_damaged_trace_is_valid_or_refused_in_words(base, request, tmp_path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    data = request.getfixturevalue(base).read_bytes()
    path = tmp_path / "t.h5"
    codes = []
    for number in range(DAMAGED_FILES // 2):
        path.write_bytes(damaged(data, rng))
        done = kvreplay("trace", "validate" if number % 4 else "info", path)
        assert done.returncode in (0, 2), f"damage {number}: exit {done.returncode}: {done.stderr}"
        assert (done.returncode == 2) == (str(path) in done.stderr), f"damage {number}: {done.stderr}"
        assert len(done.stderr) < 50_000
        codes.append(done.returncode)
    assert 0 in codes and codes.count(2) > DAMAGED_FILES // 8


def test_a_heap_of_strings_through_which_hdf5_never_comes_is_given_up(variable, tmp_path) -> None:
    """Free space of no size is stepped over for ever; found by fuzzing."""
    data = bytearray(variable.read_bytes())
    first_object = data.index(b"GCOL") + 16
    data[first_object : first_object + 16] = bytes(16)
    path = tmp_path / "t.h5"
    path.write_bytes(data)
    done = kvreplay("trace", "validate", path)
    assert done.returncode == 2
    assert f"{path}: takes more than 3 s of processor time to be read" in done.stderr


# --- Harm ---


def bombed(file: h5py.File, tokens: int) -> None:
    """Every dataset as long as `tokens` wants, with nothing stored."""
    file.attrs["prefill_len"], file.attrs["seq_len"] = tokens - 8, tokens
    for path in ("tokens", *(f"layers/{layer}/{field}" for layer in (0, 1) for field in ("keys", "values"))):
        shape, kind, attributes = list(file[path].shape), file[path].dtype, dict(file[path].attrs)
        shape[min(1, len(shape) - 1)] = tokens
        del file[path]
        chunks = (4096,) if len(shape) == 1 else (1, 4096, shape[2])
        file.create_dataset(path, shape=shape, dtype=kind, chunks=chunks, compression="gzip")
        file[path].attrs.update(attributes)


def replaced(file: h5py.File, path: str, **how: object) -> None:
    values, attributes = file[path][()], dict(file[path].attrs)
    del file[path]
    file.create_dataset(path, **{"data": values, **how}).attrs.update(attributes)


def virtual(file: h5py.File) -> None:
    """/layers/0/keys made of /layers/1/keys."""
    layout = h5py.VirtualLayout((2, 72, 8), "f2")
    layout[:] = h5py.VirtualSource(file["layers/1/keys"])
    del file["layers/0/keys"]
    file.create_virtual_dataset("layers/0/keys", layout)


def linked(path: str, link: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file[path] = link

    return edit


def attribute(name: str, value: object, kind: object = None) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.create(name, value, dtype=kind)


HARM = {
    "another file": (
        linked("layers/0/keys", h5py.ExternalLink("x.h5", "/k")),
        "/layers/0/keys: external link",
    ),
    "another file's group": (linked("layers", h5py.ExternalLink("x.h5", "/")), "/layers: external link"),
    "an alias": (linked("layers/0/keys", h5py.SoftLink("/layers/1/keys")), "/layers/0/keys: soft link"),
    "a link to nothing": (linked("truth/x", h5py.SoftLink("/nowhere")), "/truth/x: soft link"),
    "a cycle": (lambda f: linked("truth/x", f["/"])(f), "/truth/x: the same object as /;"),
    "one object twice": (
        lambda f: linked("truth/x", f["tokens"])(f),
        "/truth/x: the same object as /tokens",
    ),
    "a virtual dataset": (virtual, "/layers/0/keys: virtual dataset"),
    "lzf": (lambda f: replaced(f, "layers/0/keys", compression="lzf"), "/layers/0/keys: filter 32000"),
    "fletcher32": (lambda f: replaced(f, "tokens", fletcher32=True, chunks=True), "/tokens: filter 3"),
    "scale and offset": (lambda f: replaced(f, "tokens", scaleoffset=0, chunks=True), "/tokens: filter 6"),
    "large chunks": (
        lambda f: f.create_dataset(
            "truth/x", shape=(2**28,), chunks=(2**28,), dtype="i1", compression="gzip"
        ),
        "/truth/x: chunks of [268435456] values of 1 bytes; expected chunks of at most 16777216 bytes",
    ),
    "10 million tokens": (lambda f: bombed(f, 10_000_000), "0 of 2442 chunks are stored"),
    "100 million tokens": (lambda f: bombed(f, 100_000_000), "0 of 24415 chunks are stored"),
    "a trillion tokens": (lambda f: bombed(f, 2**40), "/@seq_len: 1099511627776; expected at most 100000000"),
    "a trillion truths": (
        lambda f: f.create_dataset("truth/x", shape=(2**40,), dtype="i8"),
        "/truth/x: 0 bytes are stored; expected 8796093022208",
    ),
    "no rank": (lambda f: replaced(f, "tokens", data=np.int32(1)), "/tokens: shape [] contradicts"),
    "more ranks": (lambda f: replaced(f, "tokens", data=np.zeros((1, 72), "i4")), "/tokens: shape [1, 72]"),
    "no space": (lambda f: linked("tokens", h5py.Empty("i4"))(f), "/tokens: shape [] contradicts"),
    "big-endian": (
        lambda f: replaced(f, "tokens", data=f["tokens"][()].astype(">i4")),
        "/tokens: big-endian int32",
    ),
    "a committed type": (linked("truth/x", np.dtype("i4")), "/truth/x: neither a group nor a dataset"),
    "an opaque string": (attribute("licence", np.void(b"abc")), "/@licence: another kind of type"),
    "an enumerated string": (attribute("licence", 1, h5py.enum_dtype({"a": 1})), "/@licence: another kind"),
    "a string of fields": (attribute("licence", np.zeros((), "i4,f8")), "/@licence: another kind of type"),
    "several strings": (attribute("licence", ["a", "b"]), "/@licence: string of shape [2]"),
    "no string": (attribute("licence", h5py.Empty("S4")), "/@licence: string without a value"),
    "eight thousand layers": (
        lambda f: f.attrs.update({"layers": 10_000, "captured_layers": np.arange(8000)}),
        "more problems",
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_a_trace_made_to_do_harm_is_refused_by_every_command(name, sound, configuration, tmp_path) -> None:
    edit, message = HARM[name]
    path = copy_of(sound, tmp_path)
    with h5py.File(path, "r+") as file:
        edit(file)
    for command in (["trace", "validate", path], ["run", configuration, "--set", f"trace.path={path}"]):
        done = kvreplay(*command)
        assert done.returncode == 2 and message in done.stderr, f"{command}: {done.returncode}: {done.stderr}"
        assert len(done.stderr) < 50_000


def test_a_trace_may_have_thousands_of_attributes_and_objects(sound, tmp_path) -> None:
    path = copy_of(sound, tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs.update({f"note {number}": number for number in range(1500)})
        for number in range(1500):
            file.create_group(f"truth/{number}")
    assert kvreplay("trace", "validate", path).returncode == 0


def test_labels_in_columns_of_the_largest_chunks_are_read_in_time(sound, tmp_path) -> None:
    """A row lies in as many chunks as there are columns, and of a small file the time is short."""
    path, rows, columns, column = copy_of(sound, tmp_path), 2**22, 16, bytes(2**24)
    hashed = hashlib.sha256()
    with h5py.File(path, "r+") as file:
        labels = file.create_dataset(
            "truth/columns", shape=(rows, columns), chunks=(rows, 1), dtype="i4", compression=4
        )
        for number in range(columns):
            labels.id.write_direct_chunk((0, number), zlib.compress(column))
            hashed.update(column)
        checksum = f"sha256:{hashed.hexdigest()}"
        labels.attrs.update({"units": "1", "long_name": "labels", "checksum": checksum})
    done = kvreplay("trace", "validate", path)
    assert done.returncode == 0, done.stderr


def test_large_attributes_of_other_names_do_no_harm(sound, tmp_path) -> None:
    path = tmp_path / "t.h5"
    with h5py.File(sound) as old, h5py.File(path, "w", libver=("v110", "v110")) as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(dict(old.attrs))
        new.attrs["other"] = np.zeros(1_000_000)
        assert kvreplay("trace", "validate", path).returncode == 2  # still open for writing
    assert kvreplay("trace", "validate", path).returncode == 0
    with h5py.File(path, "r+") as file:
        file.attrs["text_source"] = np.bytes_(b"x" * 100_000)
    done = kvreplay("trace", "validate", path)
    assert done.returncode == 2
    assert "/@text_source: a string of 100000 bytes; expected at most 60000" in done.stderr


def test_strings_of_either_length_are_read(sound, variable) -> None:
    for path in (sound, variable):
        assert kvreplay("trace", "validate", path).returncode == 0
        assert "synthetic" in kvreplay("trace", "info", path).stdout


def test_every_string_of_a_trace_has_a_fixed_length(sound) -> None:
    def check(name: str, item: h5py.Dataset | h5py.Group) -> None:
        for key in item.attrs:
            kind = item.attrs.get_id(key).get_type()
            assert not (isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()), f"{name}@{key}"

    with h5py.File(sound) as file:
        check("/", file)
        file.visititems(check)


# --- What validate refuses, run refuses ---


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("path", ["layers/0/keys", "layers/1/values", "layers/1/queries"])
def test_run_refuses_what_is_not_finite(path, value, sound, configuration, tmp_path) -> None:
    trace = copy_of(sound, tmp_path)
    with h5py.File(trace, "r+") as file:
        file[path][1, 5, 3] = value
        position = file["query_positions"][5] if path.endswith("queries") else 5
    done = kvreplay("run", configuration, "--set", f"trace.path={trace}")
    kind = "NaN" if np.isnan(value) else "infinity"
    assert done.returncode == 2 and not done.stdout
    assert (
        f"/{path}: 1 value(s) not finite, first {kind} at head 1, position {position}, channel 3"
        in done.stderr
    )


def test_run_refuses_data_that_do_not_match_their_checksum(sound, configuration, tmp_path) -> None:
    trace = copy_of(sound, tmp_path)
    with h5py.File(trace, "r+") as file:
        file["layers/1/values"][0, 0, 0] += 1
    done = kvreplay("run", configuration, "--set", f"trace.path={trace}")
    assert done.returncode == 2 and "/layers/1/values: the data hash to sha256:" in done.stderr


def test_all_problems_of_all_traces_come_at_once(sound, configuration, tmp_path) -> None:
    bad = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        bad.append(copy_of(sound, folder))
        with h5py.File(bad[-1], "r+") as file:
            file["layers/0/keys"][0, number, 0] = np.nan
            file["tokens"][number] += 1
    sweep = tmp_path / "sweep.yaml"
    paths = ", ".join(map(str, bad))
    sweep.write_text(f"include: {configuration}\nsweep: {{trace.path: [{paths}], run.steps: [4, 9999]}}\n")
    done = kvreplay("run", sweep)
    assert done.returncode == 2, done.stderr
    for path in bad:
        assert f"{path}: /layers/0/keys: 1 value(s) not finite" in done.stderr
        assert f"{path}: /tokens: the data hash to" in done.stderr
    assert "9999" in done.stderr


# --- Locks ---


def test_a_trace_that_is_open_for_writing_is_named_with_the_remedy(sound, configuration, tmp_path) -> None:
    trace = copy_of(sound, tmp_path)
    with h5py.File(trace, "r+"):
        for command in (["trace", "info", trace], ["run", configuration, "--set", f"trace.path={trace}"]):
            done = kvreplay(*command)
            assert done.returncode == 2
            assert f"{trace}: open for writing in another process; close it there" in done.stderr
            assert "HDF5_USE_FILE_LOCKING=FALSE" in done.stderr
        assert kvreplay("trace", "info", trace, HDF5_USE_FILE_LOCKING="FALSE").returncode == 0
    assert kvreplay("trace", "info", trace).returncode == 0

"""KVSwap's tuner: started by scripts/tune-kvswap.

The paper's tuner is not public; this one is ours. Of every candidate (G entries of a group, M entries chosen,
C entries kept for reuse, r directions):

    statistics    misses of every step and layer, attention mass and DRAM of one sequence, by a short replay
    curves        latency and bandwidth of reads and writes of G entries, by the device's curve
    io            of a step and layer: latency + batch * bytes missed / bandwidth, where anything is missed;
                  and where groups are full, in every G-th step, the same of what is written
    step          compute + sum over the layers of max(0, io - compute / layers), mean of all steps: one
                  layer's read hides under the computing of the one before

Kept are those whose DRAM, batch times that of one sequence, is within the limit and whose mass is within
`max-loss` of the best of those; of them the fastest, and of those within 1 % of it the smallest G, then the
least DRAM.
"""

import argparse
import itertools
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from paper_run import PROGRAM, ROOT

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 1e3, "MB": 1e6, "GB": 1e9}
TIED = 0.01
DEPTH = 32  # reads outstanding where bandwidth is measured; a layer of a batch has more
METRICS = ("hit_rate", "mass_mean", "dram_total_max", "compute_mean", "tokens_per_s")


class Candidate(NamedTuple):
    group: int
    entries: int
    reuse: int
    rank: int

    @property
    def name(self) -> str:
        return f"G={self.group} M={self.entries} C={self.reuse} r={self.rank}"


class Outcome(NamedTuple):
    """Of a replay."""

    hit_rate: float
    mass_mean: float
    dram_total_max: float
    compute_mean: float
    tokens_per_s: float
    missed_bytes: np.ndarray  # [step, captured layer]: of one layer of the model


class Curve(NamedTuple):
    """Of random requests of one size."""

    latency_s: float
    bytes_per_s: float

    def time_s(self, requested: np.ndarray) -> np.ndarray:
        return np.where(requested > 0, self.latency_s + requested / self.bytes_per_s, 0.0)


class Predicted(NamedTuple):
    candidate: Candidate
    statistics: Outcome
    dram_bytes: float
    read_bandwidth: float
    io_s: float
    compute_s: float
    step_s: float
    replayed: Outcome | None = None


class Machine(NamedTuple):
    phone: Path
    device: Path
    model: Path
    trace: Path
    layers: int
    entry_bytes: int


def size(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kKMG]?i?B)", text)
    if not found or found[2] not in UNITS:
        raise argparse.ArgumentTypeError(
            f"is no size ({text}); allowed: a number with one of {', '.join(UNITS)}, as 24MiB"
        )
    return float(found[1]) * UNITS[found[2]]


def count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"is no count ({text}); allowed: 1 and more")
    return int(text)


def counts(text: str) -> list[int]:
    """In the order given, each once."""
    return list(dict.fromkeys(count(word) for word in text.split(",")))


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"is no share ({text}); allowed: 0 to 1, without 1")
    return value


def existing(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no such file ({text})")
    return Path(text)


def call(*arguments: str | Path) -> str:
    done = subprocess.run(
        [PROGRAM, *map(str, arguments), "--quiet"], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        print(told_once(done.stderr), file=sys.stderr)
        sys.exit(done.returncode)
    return done.stdout


def told_once(messages: str) -> str:
    """Without places in the configuration that only this program has seen; each message once."""
    lines = (re.sub(r"^\S*tuner\.yaml:[0-9:]+ ", "", line) for line in messages.splitlines())
    return "\n".join(dict.fromkeys(lines))


def said_number(said: str, key: str) -> int:
    """What `kvreplay explain` has of `key`: 0 where it is the trace's."""
    found = re.search(rf"^ *{re.escape(key)} +([0-9]+)", said, re.MULTILINE)
    return int(found[1]) if found else 0


def read_machine(options: argparse.Namespace) -> Machine:
    """Layers and bytes of an entry are the model's, as an explained configuration has them."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "machine.yaml"
        config.write_text(configuration(options, [], 1, 1, 1))
        said = call("explain", config)
    with h5py.File(options.trace) as trace:
        own = {
            "layers": len(trace.attrs["captured_layers"]),
            "kv_heads": len(trace.attrs["captured_kv_heads"]),
            "head_dim": int(trace.attrs["head_dim"]),
        }
    number = {key: said_number(said, f"model.{key}") or value for key, value in own.items()}
    entry_bytes = 2 * 2 * number["kv_heads"] * number["head_dim"]
    return Machine(options.phone, options.device, options.model, options.trace, number["layers"], entry_bytes)


def stages(candidate: Candidate) -> list[dict]:
    """Those of configs/systems/kvswap.yaml."""
    scorer = {"type": "low_rank", "rank": candidate.rank, "queries": "mean", "reduce": "max"}
    ranks = {"scorer": scorer, "budget": {"type": "fixed", "entries": candidate.entries}}
    pins = {"sinks": 0, "recent": 0, "pending": "free"}
    return [
        {"name": "guess", "effect": "prefetch", "layers": "2..", "queries": "previous_layer", **ranks},
        {"effect": "select", "layers": "2..", "take": "guess", "pins": pins},
        {"effect": "select", "layers": "0..1", **ranks, "pins": pins},
    ]


def configuration(parts, candidates: Sequence[Candidate], batch: int, steps: int, capacity_scale: int) -> str:
    points = {
        candidate.name: {
            "system": {
                "clustering": {"type": "page", "page_tokens": candidate.group, "buffered": True},
                "stages": stages(candidate),
                "cache": {"capacity": f"{candidate.reuse * capacity_scale * batch}B"},
            }
        }
        for candidate in candidates
    }
    return json.dumps({
        "name": "tuner",
        "include": [str(Path(path).resolve()) for path in
                    (parts.phone, parts.device, parts.model, ROOT / "configs" / "systems" / "kvswap.yaml")],
        "trace": {"path": str(Path(parts.trace).resolve()), "sequences": batch},
                "run": {"steps": steps},
        **({"points": points} if points else {}),
    })  # fmt: skip


def replay(
    machine: Machine, candidates: Sequence[Candidate], batch: int, steps: int
) -> dict[Candidate, Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        config, results = Path(folder) / "tuner.yaml", Path(folder) / "tuner.h5"
        config.write_text(
            configuration(machine, candidates, batch, steps, machine.layers * machine.entry_bytes)
        )
        call("run", config, "-o", results, "--together", 16)
        with h5py.File(results) as file:
            columns = [file[name][:] for name in METRICS]
            read = file["read_bytes"][:] * file["layer"].size / machine.layers
    return {
        candidate: Outcome(*(float(column[i]) for column in columns), missed_bytes=read[i])
        for i, candidate in enumerate(candidates)
    }


def curves(machine: Machine, sizes: Sequence[int], *, write: bool) -> dict[int, Curve]:
    """Over flash as large as the batch's caches may be."""
    said = call("device", "curve", machine.device, "--phone", machine.phone, "--type", "analytic", "--json",
                "--size", ",".join(f"{size}B" for size in sizes), "--depth", f"1,{DEPTH}", "--range", "4GiB",
                *(["--write"] if write else []))  # fmt: skip
    found = {(point["size_bytes"], point["depth"]): point for point in json.loads(said)["points"]}
    return {
        size: Curve(found[size, 1]["latency_us"] * 1e-6, found[size, DEPTH]["bandwidth_bytes_per_s"])
        for size in sizes
    }


def whole_blocks(size: int, block: int = 4096) -> int:
    return -(-size // block) * block


def exposed_s(io_s: np.ndarray, compute_s: float, layers: int) -> float:
    """Of a step, on average. `io_s` [step, captured layer]: of a layer of the model."""
    late_s = np.maximum(0.0, io_s - compute_s / layers)
    return float(late_s.mean(axis=1).mean() * layers)


def predict(
    machine: Machine, batch: int, statistics: dict[Candidate, Outcome], compute: dict[int, float]
) -> list[Predicted]:
    sizes = sorted({whole_blocks(candidate.group * machine.entry_bytes) for candidate in statistics})
    reads, writes = (curves(machine, sizes, write=write) for write in (False, True))
    found = []
    for candidate, outcome in statistics.items():
        size = whole_blocks(candidate.group * machine.entry_bytes)
        steps = np.arange(len(outcome.missed_bytes))[:, None]
        flushed = np.where(steps % candidate.group == 0, batch * size, 0)
        io_s = reads[size].time_s(batch * outcome.missed_bytes) + writes[size].time_s(flushed)
        compute_s = compute[candidate.rank]
        step_s = compute_s + exposed_s(io_s, compute_s, machine.layers)
        found.append(Predicted(candidate, outcome, batch * outcome.dram_total_max, reads[size].bytes_per_s,
                               float(io_s.mean()) * machine.layers, compute_s, step_s))  # fmt: skip
    return found


def choose(
    predicted: Sequence[Predicted], limit_bytes: float, max_loss: float
) -> tuple[Predicted | None, list[Predicted]]:
    """The choice, and all that it was chosen among."""
    fitting = [one for one in predicted if one.dram_bytes <= limit_bytes]
    if not fitting:
        return None, []
    best_mass = max(one.statistics.mass_mean for one in fitting)
    allowed = [one for one in fitting if one.statistics.mass_mean >= (1 - max_loss) * best_mass]
    fastest = min(one.step_s for one in allowed)
    tied = [one for one in allowed if one.step_s <= (1 + TIED) * fastest]
    return min(tied, key=lambda one: (one.candidate.group, one.dram_bytes, one.step_s)), allowed


def compute_of(
    machine: Machine, statistics: dict[Candidate, Outcome], batch: int, steps: int
) -> dict[int, float]:
    """Of a step of the batch, over the rank: one replay for each."""
    one_each = {candidate.rank: candidate for candidate in statistics}
    found = replay(machine, list(one_each.values()), batch, min(steps, 8))
    return {candidate.rank: outcome.compute_mean for candidate, outcome in found.items()}


def line(one: Predicted) -> str:
    text = "  ".join([
        f"{one.candidate.name:28} {one.dram_bytes / 2**20:9.2f} MiB",
        f"mass {100 * one.statistics.mass_mean:5.2f} %",
        f"reused {100 * one.statistics.hit_rate:5.1f} %",
        f"{one.read_bandwidth / 1e6:7.0f} MB/s",
        f"io {1e3 * one.io_s:8.3f} ms",
        f"compute {1e3 * one.compute_s:8.3f} ms",
        f"step {1e3 * one.step_s:8.3f} ms",
    ])  # fmt: skip
    return text if one.replayed is None else f"{text}  replayed {one.replayed.tokens_per_s:.4g} tokens/s"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/tune-kvswap", description="KVSwap's parameters for a machine"
    )
    for part in ("phone", "device", "model", "trace"):
        parser.add_argument(f"--{part}", type=existing, required=True, help="a file")
    parser.add_argument(
        "--dram", type=size, required=True, help="that all sequences together may take, as 24MiB"
    )
    parser.add_argument("--batch", type=count, default=1, help="sequences")
    parser.add_argument(
        "--max-loss", type=share, default=0.03, help="of attention mass, as a share of the best's"
    )
    parser.add_argument("--groups", type=counts, default=[1, 2, 4, 8, 16], help="entries of a group")
    parser.add_argument("--entries", type=counts, default=[64, 128, 256], help="entries that are chosen")
    parser.add_argument("--reuse", type=counts, default=[1, 2], help="times as many that are kept for reuse")
    parser.add_argument("--rank-parts", type=counts, default=[8, 32], help="channels for each direction")
    parser.add_argument("--steps", type=count, default=64, help="decode steps of the statistics")
    parser.add_argument(
        "--check",
        action="store_true",
        help="replay all that it chose among; exits with 1 below 95 %% of the best",
    )
    return parser.parse_args()


def candidates_of(options: argparse.Namespace) -> list[Candidate]:
    with h5py.File(options.trace) as trace:
        channels = len(trace.attrs["captured_kv_heads"]) * int(trace.attrs["head_dim"])
    return [
        Candidate(group, entries, times * entries, max(1, channels // part))
        for group, entries, times, part in itertools.product(
            options.groups, options.entries, options.reuse, options.rank_parts
        )
        if entries % group == 0
    ]


def main() -> int:
    options = parse()
    call("trace", "validate", options.trace)
    machine = read_machine(options)
    candidates = candidates_of(options)
    if not candidates:
        print("--entries: none is a multiple of one of --groups", file=sys.stderr)
        return 2
    statistics = replay(machine, candidates, 1, options.steps)
    compute = compute_of(machine, statistics, options.batch, options.steps)
    choice, allowed = choose(
        predict(machine, options.batch, statistics, compute), options.dram, options.max_loss
    )
    if choice is None:
        least = options.batch * min(outcome.dram_total_max for outcome in statistics.values())
        print(f"--dram: nothing fits; the least is {least:.0f} B", file=sys.stderr)
        return 2
    loss = f"{100 * options.max_loss:g} %"
    print(f"{len(statistics)} candidates, {len(allowed)} within the limit and {loss} of the best mass")
    print("chosen:", line(choice))
    bound = "reading" if choice.io_s > choice.compute_s else "computing"
    print(f"bound by {bound}; the fastest that were possible:")
    for one in sorted(allowed, key=lambda one: one.step_s)[:5]:
        print("       ", line(one))
    if not options.check:
        return 0
    replayed = replay(machine, [one.candidate for one in allowed], options.batch, options.steps)
    best = max(allowed, key=lambda one: replayed[one.candidate].tokens_per_s)
    ratio = replayed[choice.candidate].tokens_per_s / replayed[best.candidate].tokens_per_s
    print("best of a replay of all:", line(best._replace(replayed=replayed[best.candidate])))
    print(f"the choice has {100 * ratio:.1f} % of its tokens/s")
    return 0 if ratio >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())

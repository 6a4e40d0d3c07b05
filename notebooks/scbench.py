"""What systems keep of what an answer needs, where questions share a context: as turns and as requests.

    python notebooks/scbench.py FOLDER

FOLDER has the contexts that traces/workloads/record_shared.py recorded. Those of seeds that all tasks have
are replayed through the systems of configs/paper/seeds/scbench.yaml; results are kept in
results/paper/scbench. Pieces of the context that an answer needs get some of the true attention while it says
what it needs them for. The tables have the share of that which goes to entries that are there and attended
to: the sum over heads and steps, over the same sum of all of it. They have the mean over contexts with its
95 % interval over tasks and seeds; differences are of the same contexts.

Heads that look at a piece whatever is asked say nothing of retrieval, and have most of its attention. Those
that look there for the answer are told by the truth alone: in the turns a step of the answer gives the piece
at least LOOKS times what a step of the other answers gives it; the head of the largest ratio where none does,
and all heads where every question needs the same pieces. They are of a context and question, the same for all
systems and both ways.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr
from paired import Estimate, estimate
from paper_run import ROOT, markdown, run

CONFIG = ROOT / "configs" / "paper" / "seeds" / "scbench.yaml"
OUT = ROOT / "results" / "paper" / "scbench"
REMOVING = ("StreamingLLM", "H2O", "SnapKV", "AdaKV")  # memory below O(n)
READING = ("Quest", "ClusterKV", "DynaKV", "single entries")  # O(n), read sparsely
SYSTEMS = (*REMOVING, *READING)
FAMILIES = ("string", "semantic", "global", "mixed")
TOGETHER = 32  # points that share the truth

LOOKS = 2.0  # times the attention that other answers give

Settings = dict[str, Any]
Mask = np.ndarray  # of layers and heads


class Answer(NamedTuple):
    """A question of a context, in one way to ask it, under one system."""

    task: str
    family: str
    seed: int
    way: str  # turn or request
    number: int  # of the question, from 1
    system: str
    true_mass: float  # of what it needs, sums over all heads and the steps
    mass: float
    looking_true: float  # the same, of heads that look there for the answer
    looking: float
    all_mass: float  # attended to of all attention, the mean over the whole answer
    needed: float  # needed_loaded, likewise
    entries: float  # attended to in a head, likewise

    @property
    def survives(self) -> float:
        """Of the attention that heads which look for it give to what it needs, attended to [%]."""
        return 100 * self.looking / self.looking_true

    @property
    def survives_anywhere(self) -> float:
        """The same of all heads [%]."""
        return 100 * self.mass / self.true_mass


class Decoded(NamedTuple):
    """A turn that decodes: which question it answers, and its steps that count."""

    question: int
    count: int
    step: int
    steps: int


def as_turns(record: Settings) -> tuple[list[Settings], list[Decoded]]:
    """One sequence; the first question is of its prompt."""
    turns: list[Settings] = []
    decoded = []
    for at, question in enumerate(record["questions"]):
        said = question["turn"]
        if said["prefill"]:
            turns.append({"prefill": said["prefill"]})
        turns.append({"decode": said["decode"]})
        decoded.append(Decoded(at, said["decode"], said["step"], said["steps"]))
    return turns, decoded


def as_requests(record: Settings) -> tuple[list[Settings], list[Decoded]]:
    """Sequence 0 has read the context; each request forks from it, and ends with its answer."""
    asked = [
        (at, question["request"]) for at, question in enumerate(record["questions"]) if question["request"]
    ]
    turns: list[Settings] = [{"fork": 0, "sequences": f"1..{len(asked)}"}]
    decoded = []
    for sequence, (at, said) in enumerate(asked, start=1):
        turns += [{key: said[key], "sequences": str(sequence)} for key in ("prefill", "decode")]
        if sequence < len(asked):
            turns.append({"drop": True, "sequences": str(sequence)})
        decoded.append(Decoded(at, said["decode"], said["step"], said["steps"]))
    return turns, decoded


WAYS = {"turn": as_turns, "request": as_requests}


def traces_of(folder: Path, record: Settings, way: str) -> list[Path]:
    """Of all sequences."""
    if way == "turn":
        return [folder / "turns.h5"]
    asked = [number for number, one in enumerate(record["questions"], start=1) if one["request"]]
    requests = [folder / f"request_{number}.h5" for number in asked]
    return [requests[0], *requests]


def spans_of(record: Settings, way: str) -> list[tuple[int, int]]:
    """First token and tokens of each piece that a question needs which is asked this way; each is replayed
    once, whoever needs it."""
    return list(dict.fromkeys(
        tuple(span) for question in record["questions"] if question[way] for span in question["spans"]
    ))  # fmt: skip


def run_context(folder: Path, out: Path) -> None:
    record = json.loads((folder / "spans.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    for way, laid in WAYS.items():
        print(f"{folder.name}: {way}s ...", file=sys.stderr, flush=True)
        traces = traces_of(folder, record, way)
        workload: Settings = {"turns": laid(record)[0]}
        if len(traces) > 1:
            workload["sequences"] = [{"trace": str(trace)} for trace in traces]
        firsts, tokens = zip(*spans_of(record, way), strict=True)
        zipped = {"record.span.first": firsts, "record.span.tokens": tokens}
        settings = [
            f"trace.path={traces[0]}",
            f"workload={json.dumps(workload)}",
            f"zip={json.dumps(zipped)}",
        ]
        run(CONFIG, out / f"{way}.h5", settings, traces, TOGETHER)


class Replayed:
    """The results of a context in one way; steps are those of the answers, one after another."""

    def __init__(self, file: h5py.File, record: Settings, way: str) -> None:
        self._file = file
        self._spans = spans_of(record, way)
        self._needed = [[tuple(span) for span in question["spans"]] for question in record["questions"]]
        self.decoded = WAYS[way](record)[1]
        begins = np.cumsum([0, *(one.count for one in self.decoded)])
        self._begins = dict(zip((one.question for one in self.decoded), begins[:-1], strict=True))
        names = [name.split(",")[0] for name in file["point"].asstr()[:]]
        self.points = {system: [at for at, name in enumerate(names) if name == system]
                       for system in dict.fromkeys(names)}  # fmt: skip

    def of_pieces(self, name: str, system: str, question: int, answer: Decoded) -> np.ndarray:
        """[steps, layers, heads]: what the pieces of a question get while an answer says what counts."""
        begin = self._begins[answer.question] + answer.step
        points = dict(zip(self._spans, self.points[system], strict=True))
        return sum(self._heads(name, points[span], slice(begin, begin + answer.steps))
                   for span in self._needed[question])  # fmt: skip

    def mean(self, name: str, system: str, answer: Decoded) -> float:
        begin = self._begins[answer.question]
        return float(np.nanmean(self._file[name][self.points[system][0], begin : begin + answer.count]))

    def looking(self, answer: Decoded) -> Mask:
        """Heads that look at its pieces for the answer."""
        system = next(iter(self.points))
        needed = self._needed[answer.question]
        others = [self.of_pieces("span_true_mass", system, answer.question, other)
                  for other in self.decoded if self._needed[other.question] != needed]  # fmt: skip
        own = self.of_pieces("span_true_mass", system, answer.question, answer).mean(axis=0)
        if not others:
            return np.ones(own.shape, dtype=bool)
        ratio = own / np.concatenate(others).mean(axis=0)
        return ratio >= min(LOOKS, ratio.max())

    def _heads(self, name: str, point: int, steps: slice) -> np.ndarray:
        """Of the sequence that takes the step; the others have no value."""
        values = self._file[name][point, steps]
        return np.nansum(values, axis=2) if values.ndim > 3 else values


def answers_of(folder: Path, out: Path) -> Iterable[Answer]:
    record = json.loads((folder / "spans.json").read_text())
    with h5py.File(out / "turn.h5") as turn, h5py.File(out / "request.h5") as request:
        ways = {"turn": Replayed(turn, record, "turn"), "request": Replayed(request, record, "request")}
        looking = {one.question: ways["turn"].looking(one) for one in ways["turn"].decoded}
        for way, replayed in ways.items():
            for system in replayed.points:
                for one in replayed.decoded:
                    sums = [replayed.of_pieces(name, system, one.question, one).sum(axis=0)
                            for name in ("span_true_mass", "span_mass")]  # fmt: skip
                    there = [float(each[looking[one.question]].sum()) for each in sums]
                    means = [replayed.mean(name, system, one)
                             for name in ("mass", "needed_loaded", "attended_entries")]  # fmt: skip
                    yield Answer(record["task"], record["family"], record["seed"], way, one.question + 1,
                                 system, *(float(each.sum()) for each in sums), *there, *means)  # fmt: skip


def table_of(answers: Iterable[Answer], value: str) -> xr.DataArray:
    """[trace, seed] of one column: tasks stand for traces."""
    cells = {(one.task, one.seed): getattr(one, value) for one in answers}
    tasks, seeds = (list(dict.fromkeys(key[at] for key in cells)) for at in (0, 1))
    return xr.DataArray(
        [[cells[task, seed] for seed in seeds] for task in tasks],
        {"trace": tasks, "seed": seeds},
        ("trace", "seed"),
    )


def chosen(answers: Iterable[Answer], **wanted: object) -> list[Answer]:
    return [one for one in answers if all(getattr(one, key) == value for key, value in wanted.items())]


def shown(found: Estimate, sign: str = "") -> str:
    width = f" ± {found.high - found.mean:.0f}" if found.has_interval else ""
    return f"{found.mean:{sign}.0f}{width}"


COLUMNS = {
    **{f"turn {number}": {"way": "turn", "number": number} for number in (1, 2, 3)},
    **{f"request {number}": {"way": "request", "number": number} for number in (2, 3)},
}


def survival_table(answers: Sequence[Answer], value: str) -> str:
    lines = [
        [system, *(shown(estimate(table_of(chosen(answers, system=system, **at), value)))
                   for at in COLUMNS.values())]
        for system in SYSTEMS
    ]  # fmt: skip
    return markdown(["of the needed pieces' attention, attended to [%]", *COLUMNS], lines)


def later(answers: Sequence[Answer], system: str, way: str) -> xr.DataArray:
    """The mean over questions after the first."""
    return (
        sum(table_of(chosen(answers, system=system, way=way, number=number), "survives") for number in (2, 3))
        / 2
    )


def differences_table(answers: Sequence[Answer]) -> str:
    lines = []
    for system in SYSTEMS:
        turns = later(answers, system, "turn")
        first = table_of(chosen(answers, system=system, **COLUMNS["turn 1"]), "survives")
        each = [turns - first, turns - later(answers, system, "request")]
        for value in ("all_mass", "needed"):
            last, request = (table_of(chosen(answers, system=system, **COLUMNS[name]), value)
                             for name in ("turn 3", "request 3"))  # fmt: skip
            each.append(100 * (last - request))
        lines.append([system, *(shown(estimate(one), "+") for one in each)])
    heads = (
        "needed pieces, turns 2 and 3 less turn 1",
        "needed pieces, turns 2 and 3 less requests 2 and 3",
        "all attention, turn 3 less request 3",
        "entries with 95 % of it, turn 3 less request 3",
    )
    return markdown(["[points]", *heads], lines)


def lead_table(answers: Sequence[Answer]) -> str:
    """By how much those that read are ahead of those that remove."""
    lines = []
    for reading in READING:
        each = []
        for removing in REMOVING:
            lead = later(answers, reading, "turn") - later(answers, removing, "turn")
            each.append(shown(estimate(lead), "+"))
        lines.append([reading, *each])
    return markdown(["turns 2 and 3, ahead by [points]", *(f"of {name}" for name in REMOVING)], lines)


def families_table(answers: Sequence[Answer]) -> str:
    heads, lines = [], []
    columns = [(family, numbers) for family in FAMILIES for numbers in ((1,), (2, 3))]
    for family, numbers in columns:
        heads.append(f"{family}, turn{'s' if len(numbers) > 1 else ''} {' and '.join(map(str, numbers))}")
    for system in SYSTEMS:
        each = []
        for family, numbers in columns:
            of_cell = [one for one in chosen(answers, system=system, way="turn", family=family)
                       if one.number in numbers]  # fmt: skip
            each.append(f"{np.mean([one.survives for one in of_cell]):.0f}")
        lines.append([system, *each])
    return markdown(["[%], means", *heads], lines)


def whole_table(answers: Sequence[Answer]) -> str:
    """What else the answers' steps say, of all attention."""
    cells = [
        (value, scale, name, at)
        for value, scale, name in (("all_mass", 100, "attention mass [%]"),
                                   ("needed", 100, "entries with 95 % of it, attended to [%]"),
                                   ("entries", 1, "entries of a head attended to"))
        for at in ("turn 1", "turn 3", "request 3")
    ]  # fmt: skip
    lines = [
        [system, *(shown(estimate(scale * table_of(chosen(answers, system=system, **COLUMNS[at]), value)))
                   for value, scale, _, at in cells)]
        for system in SYSTEMS
    ]  # fmt: skip
    return markdown(["", *(f"{name}, {at}" for _, _, name, at in cells)], lines)


def page(answers: Sequence[Answer]) -> str:
    tasks, seeds = ({getattr(one, key) for one in answers} for key in ("task", "seed"))
    return "\n\n".join([
        f"{len(tasks)} tasks, {len(seeds)} seed{'s' * (len(seeds) > 1)}.",
        "In heads that look there for the answer:", survival_table(answers, "survives"),
        "In all heads:", survival_table(answers, "survives_anywhere"),
        "Differences, of the same contexts; needed pieces in heads that look there:",
        differences_table(answers), lead_table(answers),
        "By family, as turns, in heads that look there:", families_table(answers),
        "Over whole answers:", whole_table(answers),
    ])  # fmt: skip


def complete(folders: Iterable[Path]) -> list[Path]:
    """Those of seeds that every task has."""
    seeds: dict[str, dict[str, Path]] = {}
    for folder in folders:
        task, seed = folder.name.rsplit("_", 1)
        seeds.setdefault(seed, {})[task] = folder
    tasks = set().union(*seeds.values())
    return [folder for _, of_seed in sorted(seeds.items()) if set(of_seed) == tasks
            for _, folder in sorted(of_seed.items())]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="recorded contexts")
    options = parser.parse_args()
    folders = complete(path.parent.resolve() for path in options.folder.glob("*_*/spans.json"))
    if not folders:
        parser.error(f"there is no recorded context in '{options.folder}'")
    answers: list[Answer] = []
    for folder in folders:
        run_context(folder, OUT / folder.name)
        answers += answers_of(folder, OUT / folder.name)
    print(page(answers))


if __name__ == "__main__":
    main()

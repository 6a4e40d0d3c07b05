"""Pictures and tables of results from the command line.

python -m kvreplay plot PICTURE RESULT.h5 -o OUT.png [--x METRIC]... [--dark]
python -m kvreplay parquet RESULT.h5 -o FOLDER [--metric METRIC]...
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import xarray as xr

from . import plots
from .errors import Error
from .files import whole
from .fronts import Metric, name_of, pareto
from .parquet import export_parquet
from .points import places, summaries
from .results import open as open_results

SUFFIXES = (".png", ".svg", ".pdf")
INCHES, DOTS_PER_INCH = (10, 6), 160


class Picture(NamedTuple):
    """A function of `plots`, and its arguments that are metrics or coordinates."""

    metrics: tuple[str, ...]
    files: int = 1
    of_one_point: bool = False


HELP = {
    "x": "a summary, latency_p50 otherwise; NAME=min or NAME=max says what is better",
    "y": "a summary, output_error_mean otherwise; NAME=min or NAME=max says what is better",
    "metric": "a metric of the results",
    "capacity": "a swept key or a summary that stands for the capacity",
}
PICTURES = {
    "pareto": Picture(("x", "y")),
    "latency_stack": Picture(()),
    "energy_stack": Picture(()),
    "recall_over_position": Picture(("metric",)),
    "layer_head_map": Picture(("metric",), of_one_point=True),
    "hit_rate_over_capacity": Picture(("capacity", "metric")),
    "two_results": Picture(("metric",), files=2),
}


def main(words: Sequence[str] | None = None) -> int:
    """Exits as the program does: 0 done, 2 the input is wrong, told on stderr."""
    options = parser().parse_args(words)
    try:
        options.act(options)
    except (Error, OSError) as error:
        print(f"kvreplay: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser("python -m kvreplay", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    kinds = commands.add_parser("plot", help="draws results").add_subparsers(required=True, metavar="PICTURE")
    for name, picture in PICTURES.items():
        text = (getattr(plots, name).__doc__ or "").split("\n\n")[0]
        said = " ".join(text.split()).replace("%", "%%")
        one = kinds.add_parser(name, help=said, description=said)
        one.add_argument("results", type=Path, nargs=picture.files, metavar="RESULT.h5")
        one.add_argument("-o", "--out", type=Path, required=True, help=f"the picture: {', '.join(SUFFIXES)}")
        one.add_argument("--dark", action="store_true", help="on dark ground")
        for argument in picture.metrics:
            one.add_argument(f"--{argument}", metavar="NAME", type=metric, help=HELP[argument])
        if picture.of_one_point:
            one.add_argument("--point", required=True, help="the point to draw")
        one.set_defaults(act=plot, name=name)
    tables = commands.add_parser("parquet", help="writes results as tables of Parquet")
    tables.add_argument("results", type=Path, metavar="RESULT.h5")
    tables.add_argument("-o", "--out", type=Path, required=True, help="the folder of the tables")
    tables.add_argument("--metric", action="append", help="one that the table of steps shall have; not all")
    tables.set_defaults(act=lambda given: export_parquet(given.results, given.out, given.metric))
    return top


def metric(text: str) -> Metric:
    """NAME, or NAME=min or NAME=max of one of which it is not known what is better."""
    name, is_given, direction = text.partition("=")
    return (name, direction) if is_given else name  # type: ignore[return-value]  # `better` looks at it


def plot(options: argparse.Namespace) -> None:
    picture = PICTURES[options.name]
    if options.out.suffix not in SUFFIXES:
        raise Error(f"--out: {options.out} has no known extension; allowed: {', '.join(SUFFIXES)}")
    if options.out.exists() and any(options.out.samefile(one) for one in options.results if one.exists()):
        raise Error(f"--out: {options.out}: is an input; give another name")
    mpl.use("agg")
    from matplotlib import pyplot as plt

    chosen = {name: value for name in picture.metrics if (value := getattr(options, name))}
    with ExitStack() as files, plt.style.context("dark_background" if options.dark else "default"):
        stack = picture.of_one_point
        data: list[Any] = [files.enter_context(open_results(path, stack=stack)) for path in options.results]
        if picture.of_one_point:
            names = data[0]["point"].values.tolist()
            if options.point not in names:
                raise Error(f"--point: there is no '{options.point}'; there are: {', '.join(names)}")
            data = [data[0].sel(point=options.point)]
        figure, axes = plt.subplots(figsize=INCHES, layout="constrained")
        getattr(plots, options.name)(*data, axes, **chosen)
        with whole(options.out) as unfinished:
            figure.savefig(unfinished, dpi=DOTS_PER_INCH, format=options.out.suffix[1:])
        if options.name == "pareto":
            print("\n".join(front_names(*data, **chosen)))


def front_names(data: xr.Dataset, x: Metric = "latency_p50", **others: Metric) -> list[str]:
    """Of the points that none beats, the best in `x` first."""
    names = summaries(data, name_of(x))["point"].to_numpy()
    return names[places(data).get_indexer(pareto(data, x, **others))].tolist()


if __name__ == "__main__":
    sys.exit(main())

"""Results and traces of kvreplay, and the program itself, in Python.

import kvreplay

data = kvreplay.open("results/demo.h5")
kvreplay.pareto(data, "latency_p50", "output_error_mean")
"""

from . import plots
from .errors import Error, IncompleteWarning
from .fronts import pareto
from .parquet import export_parquet
from .program import Comparison, command, compare, run
from .results import open, provenance
from .traces import Model, Trace, open_trace
from .units import units

__all__ = [
    "Comparison",
    "Error",
    "IncompleteWarning",
    "Model",
    "Trace",
    "command",
    "compare",
    "export_parquet",
    "open",
    "open_trace",
    "pareto",
    "plots",
    "provenance",
    "run",
    "units",
]

"""Phones against measurements: what is not fitted stands, with its error, in the configuration it is of."""

import os
import subprocess
from pathlib import Path

from conftest import ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
MEASURED = ROOT / "configs" / "measured" / "phones"


def rows(kvreplay, table: int) -> list[list[str]]:
    page = kvreplay("list", "phone", "--validated").stdout
    lines = [line for line in page.split("\n## ")[1 + table].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def error(row: list[str]) -> float:
    return float(row[7].removesuffix(" %"))


def test_what_is_fitted_is_met(kvreplay):
    fitted = [row for row in rows(kvreplay, 0) if row[8].startswith("fits ")]
    assert len(fitted) == 4
    assert all(abs(error(row)) <= 0.1 for row in fitted)


def test_what_is_not_fitted_is_told_in_the_configuration(kvreplay):
    checked = [row for row in rows(kvreplay, 0) if row[8] == "check"]
    assert len(checked) == 2
    for row in checked:
        assert row[7] in (ROOT / "configs" / "phones" / f"{row[5]}.yaml").read_text()


def test_no_row_is_fitted_and_claimed_as_a_check(kvreplay):
    keys = [tuple(row[:4]) for row in rows(kvreplay, 0)]
    assert len(set(keys)) == len(keys)


def test_errors_and_ratios_are_those_of_the_figures_beside_them(kvreplay):
    for row in rows(kvreplay, 0):
        assert abs(error(row) - 100 * (float(row[6]) / float(row[4]) - 1)) < 0.1
    for row in rows(kvreplay, 1):
        assert abs(float(row[5]) - float(row[4]) / float(row[1])) < 0.02


def attempt(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """The page, with `files` in place of those of configs/measured/phones."""
    measured = folder / "configs" / "measured" / "phones"
    measured.mkdir(parents=True, exist_ok=True)
    for name in ("decode", "energy"):
        text = files.get(name, (MEASURED / f"{name}.csv").read_text())
        (measured / f"{name}.csv").write_text(text)
    command = [PROGRAM, "list", "phone", "--validated"]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)


HEADING = "on,phone,model,weight_format,head_format,entries,tokens_per_s,use,source\n"


def test_rows_of_ones_own(tmp_path: Path) -> None:
    row = 'a "phone", mine'.replace('"', '""')
    done = attempt(
        tmp_path,
        decode=f'# mine\n{HEADING}"{row}",oneplus_12,qwen2.5-1.5b,q4_0,f16,64,20,check,"me, today"\n',
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "mine" in line)
    assert line.startswith('| a "phone", mine | qwen2.5-1.5b | q4_0, head f16 | 64 | 20 | oneplus_12 | ')
    assert line.endswith(" | check | me, today |")


def test_wrong_rows_are_told_with_their_place(tmp_path: Path) -> None:
    rows = (
        '"a, b",oneplus_12,qwen2.5-1.5b,q4_0,f16,-1,fast,check,me\n'
        '"a,oneplus_12,qwen2.5-1.5b,q4_0,f16,1,1,check,me\n'
        "a,oneplus_12\n"
    )
    done = attempt(tmp_path, decode=HEADING + rows)
    assert done.returncode == 2
    for place in ("2:41: entries", "2:44: tokens_per_s", "3:1: quotes do not match", "4:1: has 2 cells"):
        assert f"decode.csv:{place}" in done.stderr, done.stderr
    assert attempt(tmp_path, decode="a,b\n").returncode == 2
    unknown = attempt(tmp_path, decode=f"{HEADING}a,nowhere,qwen2.5-1.5b,q4_0,f16,1,1,check,me\n")
    assert unknown.returncode == 2
    assert "configs/phones: no such name (nowhere)" in unknown.stderr

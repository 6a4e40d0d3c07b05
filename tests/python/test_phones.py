"""Phones against measurements: what is not fitted stands, with its error, in the configuration it is of."""

from conftest import ROOT


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

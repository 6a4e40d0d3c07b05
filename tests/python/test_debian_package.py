"""The Debian package: what is in it, and that the program runs from where dpkg puts it, without this tree."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

BUILD = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay")).resolve().parent
# Debian's own first: a cpack of elsewhere need not be of the cmake that made the build.
ENVIRONMENT = os.environ | {"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"}


def output(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, check=False, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    output("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", folder, cwd=folder)
    (made,) = folder.glob("kvreplay_*.deb")
    return made


@pytest.fixture(scope="module")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is unpacked, as if that were /."""
    folder = tmp_path_factory.mktemp("root")
    output("dpkg-deb", "--extract", package, folder)
    return folder


def test_it_says_what_it_is_and_needs(package: Path, kvreplay) -> None:
    said = output("dpkg-deb", "--field", package)
    fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", said, re.MULTILINE))
    assert fields["Package"] == "kvreplay"
    assert fields["Version"] == kvreplay("--version").stdout.split()[1]
    assert fields["Architecture"] == output("dpkg", "--print-architecture").strip()
    assert package.name == f"kvreplay_{fields['Version']}_{fields['Architecture']}.deb"
    needed = {entry.split()[0] for entry in fields["Depends"].split(", ")}
    assert {"libc6", "libstdc++6"} < needed
    for part in ("boost-program-options", "fmt", "hdf5", "ssl", "uring", "yaml-cpp"):
        assert any(part in name for name in needed), part
    assert not any(re.search(r"python|-dev$|g\+\+|cmake", name) for name in needed)


def test_it_has_what_install_puts_and_nothing_else(package: Path) -> None:
    listed = output("dpkg-deb", "--contents", package).splitlines()
    assert all(line.split()[1] == "root/root" for line in listed)
    paths = [line.split()[5].removeprefix("./") for line in listed]
    assert all(path in ("", "usr/") or path.startswith("usr/") for path in paths)
    assert not [path for path in paths if str(ROOT) in path or path.endswith((".py", ".ipynb"))]
    for path in (
        "usr/bin/kvreplay",
        "usr/share/man/man1/kvreplay.1.gz",
        "usr/share/doc/kvreplay/copyright",
        "usr/share/kvreplay/configs/experiments/demo.yaml",
        "usr/share/kvreplay/traces/samples/smollm2.h5",
        "usr/include/kvreplay/sim/interfaces/scorer.hpp",
    ):
        assert path in paths
    assert [path for path in paths if path.endswith("cmake/kvreplay/kvreplayConfig.cmake")]


def test_the_manual_page_has_every_command(root: Path, kvreplay) -> None:
    page = output("zcat", root / "usr/share/man/man1/kvreplay.1.gz")
    shown = output(
        "env", "MANWIDTH=100", "man", "--warnings", "-l", root / "usr/share/man/man1/kvreplay.1.gz"
    )
    assert page.startswith(".TH KVREPLAY 1")
    for command in ("run", "list", "result merge", "trace stats", "device fit", "bench"):
        assert f"\n   {command}\n" in shown, command
        assert f"usage: kvreplay {command} " in shown


def test_the_licence_is_in_it(root: Path) -> None:
    text = (root / "usr/share/doc/kvreplay/copyright").read_text()
    assert (ROOT / "LICENSE").read_text() in text


def test_it_runs_from_there_and_finds_its_files(root: Path, tmp_path: Path, kvreplay) -> None:
    program = root / "usr/bin/kvreplay"
    demo = root / "usr/share/kvreplay/configs/experiments/demo.yaml"
    settings = ["--set", "run.steps=8", "--set", "record.host_timing=false", "--quiet"]
    table = output(program, "run", demo, *settings, "-o", tmp_path / "r.h5", cwd=tmp_path)
    assert table == kvreplay("run", "configs/experiments/demo.yaml", *settings).stdout
    for words in (["device", "curve", "ufs40", "--type", "analytic"], ["list", "systems", "--markdown"]):
        assert output(program, *words, "--quiet", cwd=tmp_path) == kvreplay(*words, "--quiet").stdout


def test_it_is_stripped(root: Path) -> None:
    assert ".symtab" not in output("readelf", "--section-headers", root / "usr/bin/kvreplay")

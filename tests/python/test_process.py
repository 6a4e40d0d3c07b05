"""The program where the system fails it: streams, memory, threads and disks that are not there; signals."""

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest
from conftest import DEMO, ROOT, heed_interrupts

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
TWO_POINTS = f"""
include:
  - {ROOT}/configs/phones/oneplus_12.yaml
  - {ROOT}/configs/devices/ufs40.yaml
  - {ROOT}/configs/models/qwen2.5-1.5b.yaml
  - {ROOT}/configs/systems/kmeans_contiguous_lru.yaml
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
points:
  first: {{run: {{steps: 2}}}}
  second: {{run: {{steps: 1000}}}}
"""
SHORT = [DEMO, "--set", "run.steps=4"]


def start(*arguments: str | Path, **how) -> subprocess.Popen:
    """The program in the repository's root, its streams kept unless `how` says otherwise."""
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_interrupts}
    return subprocess.Popen([PROGRAM, *arguments], cwd=ROOT, text=True, **(usual | how))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "nowhere.yaml"], 2),
        (["run", *SHORT], 0),
        (["trace", "validate", "README.md"], 2),
        (["lst"], 2),
    ],
)
def test_messages_that_cannot_be_written_change_nothing(arguments: list, code: int) -> None:
    with open("/dev/full", "w") as full:
        assert start(*arguments, stderr=full, stdout=subprocess.DEVNULL).wait(60) == code


SPEAKING = {
    "run": ["run", *SHORT, "--quiet"],
    "list": ["list", "--markdown"],
    "explain": ["explain", DEMO],
    "schema": ["schema"],
    "info": ["trace", "info", "traces/samples/smollm2.h5"],
    "head": ["trace", "head", "traces/samples/smollm2.h5", "--count", "100"],
    "curve": ["device", "curve", "ufs40", "--size", "4KiB", "--depth", "1", "--type", "analytic", "--quiet"],
    "help": ["--help"],
    "help of a command": ["device", "fit", "--help"],
}


@pytest.mark.parametrize("command", SPEAKING)
def test_results_that_cannot_be_written_exit_3(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = start(*SPEAKING[command], stdout=full)
        _, messages = done.communicate(timeout=60)
    assert done.returncode == 3
    assert messages == "the standard output cannot be written: No space left on device\n"


def test_a_reader_that_goes_away_is_no_crash() -> None:
    done = start("schema")
    done.stdout.close()
    assert done.stderr.read() == "the standard output cannot be written: Broken pipe\n"
    assert done.wait(60) == 3


def test_streams_that_are_closed_take_no_file_of_ours(tmp_path: Path) -> None:
    """Else the results file would get the number of the standard output, and the table."""
    command = f"exec '{PROGRAM}' run '{DEMO}' --set run.steps=4 -o '{tmp_path}/r.h5' >&- 2>&- <&-"
    assert subprocess.run(["bash", "-c", command], cwd=ROOT, check=False).returncode == 3
    with h5py.File(tmp_path / "r.h5") as results:
        assert results["recall"].shape[1] == 4


def limited(kind: int, value: int):
    return lambda: resource.setrlimit(kind, (value, value))


def test_threads_that_cannot_be_had_exit_3() -> None:
    done = start(
        "run", *SHORT, "--set", "run.threads=256", preexec_fn=limited(resource.RLIMIT_AS, 600_000_000)
    )
    _, messages = done.communicate(timeout=60)
    assert done.returncode == 3
    assert messages.startswith("run.threads: ")
    assert "of 256 threads can be had" in messages


def test_memory_that_cannot_be_had_exits_3_and_says_for_what() -> None:
    refused = 0
    for megabytes in range(36, 72, 3):
        done = start("run", *SHORT, preexec_fn=limited(resource.RLIMIT_AS, megabytes * 1_000_000))
        _, messages = done.communicate(timeout=60)
        assert done.returncode in (0, 3, 127), messages  # 127: its libraries alone take more
        if done.returncode == 3:
            assert "there is not enough memory" in messages
            refused += 1
    assert refused > 0


def test_a_disk_that_is_full_costs_the_file_and_not_the_summary(tmp_path: Path) -> None:
    done = start(
        "run", *SHORT, "--quiet", "-o", tmp_path / "r.h5", preexec_fn=limited(resource.RLIMIT_FSIZE, 5000)
    )
    table, messages = done.communicate(timeout=60)
    assert done.returncode == 3
    assert "r.h5" in messages
    assert "File too large" in messages
    assert "recall" in table
    assert list(tmp_path.iterdir()) == []


def interrupted(number: int, *arguments: str | Path) -> subprocess.Popen:
    """The program, which got signal `number` once it had told of its first point's end."""
    process = start("run", *arguments)
    for line in process.stderr:
        if "1 of 2 points" in line:
            break
    process.send_signal(number)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_is_finished(tmp_path: Path, number: int) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(TWO_POINTS)
    process = interrupted(number, config, "-o", tmp_path / "r.h5", "--set", "run.threads=1")
    table, messages = process.communicate(timeout=60)
    assert process.returncode == -number
    assert "interrupted: 1 of 2 points are finished" in messages
    assert "first" in table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "r.h5", "r.h5.points"]
    with h5py.File(tmp_path / "r.h5") as results:
        assert [name.decode() for name in results["point"][:]] == ["first"]


def test_a_signal_leaves_no_half_written_trace(tmp_path: Path) -> None:
    process = start("trace", "synth", tmp_path / "t.h5", "--prompt", "20000", "--steps", "20000")
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("section", "moment"), [("policy", "*.partial-*"), ("scale", "scale.h5"), ("sweep", "sweep.h5.points")]
)
def test_a_signal_leaves_nothing_of_a_bench(tmp_path: Path, number: int, section: str, moment: str) -> None:
    """While it makes its trace, and while a process of its own replays that."""
    process = start("bench", "--only", section, env=os.environ | {"TMPDIR": str(tmp_path)})
    while not list(tmp_path.glob(f"kvreplay-*/{moment}")):
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)  # both ends of its streams, the other process's too
    assert process.returncode == -number
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def short_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("short") / "r.h5"
    assert start("run", *SHORT, "--quiet", "-o", path).wait(120) == 0
    return path


def with_files(files: int, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and messages of the program that may have so many files open."""

    def limited() -> None:
        heed_interrupts()
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    process = start(*arguments, preexec_fn=limited)
    _, messages = process.communicate(timeout=120)
    return process.returncode, messages


@pytest.mark.parametrize("what", ["trace", "results", "run", "fit"])
def test_too_few_files_are_no_fault_of_the_input(short_results: Path, tmp_path: Path, what: str) -> None:
    """With as many files open as it may have it is done, or the system failed, however far it comes."""
    (tmp_path / "fio.json").write_text("{}")
    arguments: dict[str, list] = {
        "trace": ["trace", "validate", "traces/samples/smollm2.h5"],
        "results": ["result", "show", short_results],
        "run": ["run", *SHORT, "--quiet", "-o", tmp_path / "r.h5"],
        "fit": ["device", "fit", tmp_path / "fio.json", "-o", tmp_path / "d.yaml"],
    }
    sound = 2 if what == "fit" else 0  # fio wrote something else than that
    files = 3
    while with_files(files, "--version")[0] != 0:  # its libraries are files too
        files += 1
    codes = []
    while not codes or codes[-1] != sound:
        code, messages = with_files(files, *arguments[what])
        codes.append(code)
        assert code in (3, sound), (files, code, messages)
        assert code != 3 or "Too many open files" in messages, (files, messages)
        files += 1
    assert 3 in codes or what == "fit"

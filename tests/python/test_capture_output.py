"""Where a capture may write, how it ends when it is told to, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")


from capture_models import TEXT, save_model, tiny_config  # noqa: E402
from kvreplay_capture import cli  # noqa: E402


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", tiny_config("llama"))


def arguments(model: Path, output: Any, *more: str) -> list[str]:
    base = [model, "-o", output, "--text", model / "text.txt", "--prompt-tokens", "24", "--steps", "40"]
    return [*map(str, base), "-q", *more]


def run(capsys: Any, *given: str) -> tuple[int, str]:
    code = cli.main(list(given))
    return code, capsys.readouterr().err


def refused_early(monkeypatch: Any) -> None:
    """From now on no model may be loaded."""
    from kvreplay_capture import session

    monkeypatch.setattr(session, "load_model", lambda *_: pytest.fail("a model was loaded"))


@pytest.mark.parametrize("victim", ["text.txt", "model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("way", ["itself", "hard link", "symbolic link"])
def test_an_output_that_is_an_input_is_refused(
    model: Path, victim: str, way: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    refused_early(monkeypatch)
    output, before = model / victim, (model / victim).read_bytes()
    if way != "itself":
        output = tmp_path / "other.h5"
        (os.link if way == "hard link" else os.symlink)(model / victim, output)
    code, err = run(capsys, *arguments(model, output))
    assert code == 2 and "is an input of this capture" in err and err.count("\n") == 1
    assert (model / victim).read_bytes() == before
    assert not list(tmp_path.rglob("*partial*"))


def test_a_gguf_file_and_a_conversation_are_inputs_too(model: Path, tmp_path: Path, capsys: Any) -> None:

    file, chat = tmp_path / "m.gguf", tmp_path / "chat.json"
    file.write_bytes(b"GGUF")
    chat.write_text("[]")
    for output in (file, chat):
        given = [str(file), "-o", str(output), "--chat", str(chat), "--prompt-tokens", "8", "--steps", "8"]
        code, err = run(capsys, *given)
        assert code == 2 and "is an input of this capture" in err
    assert file.read_bytes() == b"GGUF" and chat.read_text() == "[]"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "new/", "model"])
def test_a_name_that_is_no_file_is_refused(
    model: Path, name: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    refused_early(monkeypatch)
    monkeypatch.chdir(tmp_path)
    code, err = run(capsys, *arguments(model, name))
    assert code == 2 and err.count("\n") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model"]


def test_a_fifo_is_refused_and_stays(model: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    refused_early(monkeypatch)
    os.mkfifo(tmp_path / "fifo")
    os.symlink(tmp_path / "fifo", tmp_path / "link.h5")
    for name in ("fifo", "link.h5"):
        code, err = run(capsys, *arguments(model, tmp_path / name))
        assert code == 2 and "is not a regular file" in err
    assert (tmp_path / "fifo").is_fifo() and (tmp_path / "link.h5").is_symlink()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/t.h5", "the folder .*/nowhere does not exist"),
        ("file/t.h5", "the folder .*/file does not exist|Not a directory"),
        ("n" * 250, "File name too long"),
        ("locked/t.h5", "the folder .*/locked cannot be written to"),
    ],
)
def test_what_the_file_system_refuses_is_exit_3(
    model: Path, name: str, message: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    import re

    refused_early(monkeypatch)
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir(mode=0o500)
    if name.startswith("locked") and os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("root may write everywhere")
    code, err = run(capsys, *arguments(model, tmp_path / name))
    assert code == 3 and re.search(message, err) and err.count("\n") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "locked", "model"]


def test_names_that_are_no_text_are_no_obstacle_but_in_the_trace(
    model: Path, tmp_path: Path, capsys: Any
) -> None:
    (model / "caf\udce9.txt").write_text(TEXT)
    given = arguments(model, tmp_path / "caf\udce9.h5", "--text", str(model / "caf\udce9.txt"))
    code, err = run(capsys, *given)
    assert code == 2 and "--text-source: 'caf\\udce9.txt' is not UTF-8" in err
    assert run(capsys, *given, "--text-source", "cafe")[0] == 0
    assert h5py.is_hdf5(os.fsencode(tmp_path / "caf\udce9.h5"))


def test_a_symbolic_link_is_followed_and_stays(model: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "latest.h5").symlink_to("big/t.h5")
    for _ in range(2):  # a target that does not exist yet, and one that does
        assert run(capsys, *arguments(model, tmp_path / "latest.h5"))[0] == 0
        assert (tmp_path / "latest.h5").is_symlink()
        assert [entry.name for entry in (tmp_path / "big").iterdir()] == ["t.h5"]
        with h5py.File(tmp_path / "big" / "t.h5") as file:
            assert file.attrs["seq_len"] == 64


def test_an_existing_file_is_replaced_only_by_a_whole_trace(model: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "t.h5").write_text("older")
    code, err = run(capsys, *arguments(model, tmp_path / "t.h5", "--tolerance", "1e-9"))
    assert code == 2 and (tmp_path / "t.h5").read_text() == "older"
    assert "self-check failed" in err and f"kept as {tmp_path}/t.unaccepted.h5" in err
    with h5py.File(tmp_path / "t.unaccepted.h5") as file:
        assert file.attrs["seq_len"] == 64
    assert run(capsys, *arguments(model, tmp_path / "t.h5"))[0] == 0
    assert h5py.is_hdf5(tmp_path / "t.h5")


def test_files_of_dead_processes_are_removed_and_no_others(model: Path, tmp_path: Path, capsys: Any) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    gone = tmp_path / f"t.h5.partial-{dead.pid}"
    kept = [tmp_path / f"t.h5.partial-{os.getppid()}", tmp_path / f"other.h5.partial-{dead.pid}"]
    for path in (gone, *kept):
        path.write_text("")
    assert run(capsys, *arguments(model, tmp_path / "t.h5"))[0] == 0
    assert not gone.exists() and all(path.exists() for path in kept)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_capture_and_leaves_nothing(
    model: Path, number: int, code: int, tmp_path: Path, capsys: Any
) -> None:
    (model / "text.txt").write_text(TEXT * 40)
    given = arguments(model, tmp_path / "t.h5", "--block", "1", "--steps", "20000")
    before = {other: signal.getsignal(other) for other in (signal.SIGINT, signal.SIGTERM)}
    watcher = threading.Thread(target=interrupt_when_writing, args=(tmp_path, number))
    watcher.start()
    try:
        assert ended_with(given) == code
    finally:
        watcher.join()
        for other, handler in before.items():
            signal.signal(other, handler)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model"]


def interrupt_when_writing(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob("t.h5.partial-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(os.getpid(), number)


def ended_with(given: list[str]) -> Any:
    try:
        return cli.main(given)
    except SystemExit as left:
        return left.code


needs_a_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@needs_a_full_device
def test_messages_may_be_lost(model: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    given = [word for word in arguments(model, tmp_path / "t.h5") if word != "-q"]
    with suppress(OSError), open("/dev/full", "w") as full:  # closing it fails as well
        monkeypatch.setattr(sys, "stderr", full)
        assert cli.main(given) == 0
        monkeypatch.undo()
        monkeypatch.setattr(sys, "stderr", None)
        assert cli.main(given) == 0
        monkeypatch.undo()
    assert "self-check" in capsys.readouterr().out


@needs_a_full_device
def test_results_may_not_be_lost(model: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    with suppress(OSError), open("/dev/full", "w") as full:  # closing it fails as well
        for stream, message in ((full, "No space left on device"), (None, "is closed")):
            monkeypatch.setattr(sys, "stdout", stream)
            code = cli.main(arguments(model, tmp_path / "t.h5"))
            monkeypatch.undo()
            assert code == 3 and message in capsys.readouterr().err
            assert h5py.is_hdf5(tmp_path / "t.h5")


@needs_a_full_device
def test_a_process_leaves_with_its_code_when_nothing_can_be_written(model: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "kvreplay_capture.cli"]
    with open("/dev/full", "w") as full:
        for given, code in ((arguments(model, ""), 2), (["--help"], 3)):
            done = subprocess.run([*command, *given], stdout=full, stderr=full, env=environment, check=False)
            assert done.returncode == code

"""Conversations through a model's chat template: given ones, and such as the model answers itself."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_gguf import SPECIAL, TEMPLATE, VOCAB, save_byte_tokenizer, write_gguf  # noqa: E402
from capture_models import options, save_model, tiny_config  # noqa: E402
from kvreplay_capture import session, tokens  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402
from kvreplay_capture.tokenizer import folder_tokenizer  # noqa: E402

END = SPECIAL.index("<|im_end|>")
SYSTEM = {"role": "system", "content": "be brief"}
TALK = [
    SYSTEM,
    {"role": "user", "content": "who is the best of the rest?"},
    {"role": "assistant", "content": "the 2nd, it is said"},
    {"role": "user", "content": "and the worst?"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "chatty"
    save_model(folder, tiny_config("llama", vocab_size=VOCAB, intermediate_size=64, num_hidden_layers=2))
    save_byte_tokenizer(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    return folder


def capture(model: Path, tmp_path: Path, messages: Any, **changes: Any) -> tuple[Any, list[int], list[int]]:
    """The report, and tokens and turns of the trace."""
    chat = tmp_path / "chat.json"
    chat.write_text(messages if isinstance(messages, str) else json.dumps(messages), encoding="utf-8")
    report = session.capture(options(model, tmp_path / "t.h5", text=None, chat=chat, **changes))
    with h5py.File(report.path) as file:
        return report, file["tokens"][:].tolist(), file["turns"][:].tolist()


def spoken(model: Path, ids: list[int]) -> str:
    return folder_tokenizer(model).backend.decode(ids, skip_special_tokens=False)


def test_a_given_conversation_is_written_by_the_template(model: Path, tmp_path: Path) -> None:
    _, ids, turns = capture(model, tmp_path, TALK, prompt_tokens=30, steps=36)
    whole = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in TALK)
    assert whole.startswith(spoken(model, ids))
    assert turns[0] == 0 and [spoken(model, ids[turn : turn + 10]) for turn in turns[1:]] == [
        "<|im_start|>assistant"
    ]


def test_the_program_takes_a_conversation(model: Path, tmp_path: Path, kvreplay: Any) -> None:
    report, _, turns = capture(model, tmp_path, TALK, prompt_tokens=40, steps=40)
    assert kvreplay("trace", "validate", report.path).stdout.endswith(": valid\n")
    assert f"turns             {len(turns)}\n" in kvreplay("trace", "info", report.path).stdout


def test_turns_beyond_the_end_of_the_trace_are_not_named(model: Path, tmp_path: Path) -> None:
    _, _, turns = capture(model, tmp_path, TALK, prompt_tokens=12, steps=10)
    assert turns == [0]


def test_a_model_answers_and_the_user_goes_on(model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    said = iter([40, 41, END, 50, END] + [60] * 200)
    monkeypatch.setattr(tokens.TokenPicker, "__call__", lambda *_: next(said))
    talk = [SYSTEM, {"role": "user", "content": "the rest?"}, {"role": "user", "content": "it of the"}]
    report, ids, turns = capture(model, tmp_path, talk, prompt_tokens=20, steps=100, mode="greedy")
    letters = spoken(model, [40, 41]), spoken(model, [50])
    start = (
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nthe rest?<|im_end|>\n"
        f"<|im_start|>assistant\n{letters[0]}<|im_end|>\n<|im_start|>user\nit of the<|im_end|>\n"
        f"<|im_start|>assistant\n{letters[1]}<|im_end|>"
    )
    assert spoken(model, ids).startswith(start + spoken(model, [60]) * 4)
    heads = [spoken(model, ids[turn : turn + 6]) for turn in turns]
    assert heads[0].startswith("<|im_start|>sys") and all(head.startswith("<|im_start|>") for head in heads)
    assert ["assis" in head for head in heads] == [False, True, False, True]
    end = len(folder_tokenizer(model).encode(start)[0]) - 1
    assert report.warnings == (
        f"the user has nothing more to say after position {end}; "
        "the model went on after the end of its answer",
    )


def test_a_conversation_with_answers_begins_after_them(model: Path, tmp_path: Path) -> None:
    _, ids, turns = capture(model, tmp_path, TALK, prompt_tokens=60, steps=60, mode="sampled", seed=3)
    assert "and the worst?" in spoken(model, ids) and len(turns) >= 4
    assert spoken(model, ids[turns[3] :]).startswith("<|im_start|>assistant\n")


def test_a_gguf_file_brings_its_template(model: Path, tmp_path: Path) -> None:
    file = write_gguf(model, tmp_path / "m.gguf")
    expected = capture(model, tmp_path, TALK)[1:]
    assert capture(file, tmp_path, TALK)[1:] == expected


WRONG = {
    "no JSON": ("who?", "not a JSON file"),
    "no list": ({"role": "user"}, "not a conversation"),
    "empty": ([], "not a conversation"),
    "no role": ([{"content": "a"}], "message 0: expected an object with role and content alone"),
    "more": ([{"role": "user", "content": "a", "name": "b"}], "message 0: expected an object"),
    "role": ([{"role": "tool", "content": "a"}], "role is 'tool'; allowed are system, user, assistant"),
    "content": ([{"role": "user", "content": [1]}], "message 0: content must be text"),
    "late system": ([TALK[1], SYSTEM], "message 1: a system message may only be the first"),
    "system alone": ([SYSTEM], "holds no message of the user"),
    "short": (TALK[:2], r"too short: has \d+ tokens, 264 needed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_conversation_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    messages, message = WRONG[name]
    with pytest.raises(CaptureError, match=rf"chat\.json: .*{message}"):
        capture(model, tmp_path, messages, steps=240)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chat.json"]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (TALK[:3], "every message has its answer"),
        ([TALK[1], TALK[1], TALK[2]], "only the user may speak"),
        (TALK[:2], "too short: has .* tokens before the first answer"),
    ],
    ids=["answered", "answers later", "short prompt"],
)
def test_a_model_needs_something_to_answer(model: Path, tmp_path: Path, messages: Any, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        capture(model, tmp_path, messages, mode="greedy", prompt_tokens=100)


def test_a_template_that_rewrites_earlier_turns_is_refused(model: Path, tmp_path: Path) -> None:
    before = (model / "chat_template.jinja").read_text()
    try:
        (model / "chat_template.jinja").write_text("{{ messages | length }} messages" + before)
        with pytest.raises(CaptureError, match=r"writes earlier turns anew .* turn 1 has no first position"):
            capture(model, tmp_path, TALK)
        (model / "chat_template.jinja").write_text("{{ raise_exception('no system please') }}")
        with pytest.raises(CaptureError, match="chat template refuses the conversation: no system please"):
            capture(model, tmp_path, TALK)
        (model / "chat_template.jinja").unlink()
        with pytest.raises(CaptureError, match="has no chat template; give plain text with --text"):
            capture(model, tmp_path, TALK)
    finally:
        (model / "chat_template.jinja").write_text(before)


def test_text_and_conversation_exclude_each_other(model: Path, tmp_path: Path) -> None:
    for text, chat in ((None, None), (model / "text.txt", model / "config.json")):
        with pytest.raises(CaptureError, match="give either --text or --chat"):
            session.capture(options(model, tmp_path / "t.h5", text=text, chat=chat))

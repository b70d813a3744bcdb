"""What models say around, or instead of, an answer: taken off or refused, alike for captions and scripts, for local
models and servers, and never in a row."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest

from models.captioner import PROMPTS as CAPTIONER_PROMPTS
from models.captioner import Caption, DeepseekVlConfig, FrameFacts, OpenAiConfig
from models.captioner.answers import caption
from models.captioner.deepseek_vl import DeepseekVl
from models.captioner.openai import OpenAiCaptioner
from models.server import Reply, ServerConfig
from models.text import prompts
from models.text.answers import json_value
from models.text.chat import AnswerError, plain
from models.writer import PROMPTS as WRITER_PROMPTS
from models.writer import LlmConfig, OpenAiWriterConfig, ScriptFacts
from models.writer.llm import LlmWriter
from models.writer.openai import OpenAiWriter
from models.writer.script import Script
from tests.models import tiny_checkpoints
from tests.models.chat_server import ChatServer, Said
from tests.models.test_server import FastClock

MAN = "A man in a hat."
PICTURE = FrameFacts("film-000001", np.full((64, 96, 3), 90, np.uint8))
FACTS = ScriptFacts("film-000001", "A man in a hat walks along a street. A car is parked.")
SCRIPT = '{"scene_elements": ["A parked car."], "plots": ["A man walks along a street."]}'
OTHER = SCRIPT.replace("parked car", "street")
ASKED_FOR_CAPTION = prompts.read(CAPTIONER_PROMPTS)["frame"]
ASKED_FOR_SCRIPT = prompts.read(WRITER_PROMPTS)["task"]

WRAPPED = {  # what is said, in place of {}
    "thought": "<think>He wears a hat.\nIs it one?</think> {}",
    "thoughts": "<think>A hat.</think>\n\n{}<think>Done.</think>",
    "thought in a thought": "<think>a <think>b</think> c</think>{}",
    "thought that began in the prompt": "He wears a hat, so I say so.\n</think>\n\n{}",
    "thought in brackets": "[THINK]A hat.[/THINK]{}",
    "thought of another spelling": "◁think▷A hat.◁/think▷ {}",
    "thought in a channel": "<|channel|>analysis<|message|>A hat.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>{}<|return|>",
    "thought in a channel without tokens": "analysisWe see a hat.assistantfinal{}",
    "thought between tokens": "<|begin_of_thought|>A hat.<|end_of_thought|><|begin_of_solution|>{}<|end_of_solution|>",
    "thought of a namespace": "<seed:think>A hat.</seed:think>{}",
    "thought between bars": "<|thinking|>A hat.<|/thinking|>{}",
    "thought between wide signs": "＜think＞A hat.＜/think＞{}",
    "thought of command": "<|START_THINKING|>A hat.<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|>",
    "thought of gemma": "<|channel>thought\nA hat.<channel|>{}<turn|>",
    "no thought": "<think/>{}",
    "answer in a channel without tokens": "assistantfinal{}",
    "tagged answer": "I look at it.\n<answer>{}</answer>",
    "role": "Assistant: {}",
    "role in capitals": "ASSISTANT:\n{}",
    "bold role": "**Assistant:** {}",
    "role as a heading": "### Assistant: {}",
    "role without colon": "assistant\n\n{}",
    "role token": "<|im_start|>{}",
    "turn": "<|im_start|>assistant\n{}<|im_end|>",
    "turn of llama": "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
    "turn of gemma": "<start_of_turn>model\n{}<end_of_turn>",
    "turn of deepseek": "<｜Assistant｜>{}<｜end▁of▁sentence｜>",
    "turn of mistral": "<s>[INST] What is it? [/INST] {}</s>",
    "turn of zephyr": "<|user|>\nWhat is it?\n<|assistant|>\n{}",
    "whole chat": "User: What is it?\nAssistant: {}\nUser: And now?\nAssistant: Nothing.",
    "next turn": "{}<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>",
    "role of openchat": "GPT4 Correct Assistant: {}<|end_of_turn|>",
    "role in Chinese": "助手：{}",
    "fence": "```\n{}\n```",
    "fence and prose": "Here is the description you asked for:\n```text\n{}\n```\nI hope this helps!",
    "fence that doesn't end": "```\n{}",
    "prose": "Sure! Here is the description of the picture:\n{}\n\nLet me know if you need more!",
    "control characters": "\x1b[31m{}\x1b[0m\x00\r\n",
}
REFUSED = {  # with what the reason says
    "unclosed thought": ("<think>He wears a hat.", "its thought doesn't end"),
    "unclosed thought behind words": ("A man in a hat. <think>Or", "its thought doesn't end"),
    "unclosed channel": ("<|channel|>analysis<|message|>A hat", "its thought doesn't end"),
    "unclosed thought between bars": ("<|START_THINKING|>He wears a hat", "its thought doesn't end"),
    "unclosed channel of gemma": ("<|channel>thought\nA hat", "its thought doesn't end"),
    "nothing but a thought": ("<think>He wears a hat.</think>", "it is empty"),
    "nothing": ("", "it is empty"),
    "nothing but a role token": ("<|im_start|>assistant\n<|im_end|>", "it is empty"),
    "refusal": ("I'm sorry, but I can't assist with that.", "it describes nothing"),
    "refusal with a curly apostrophe": ("I’m unable to identify people.", "it describes nothing"),
    "refusal behind a thought": ("<think>Hm.</think>Unfortunately, I cannot help.", "it describes nothing"),
    "refusal of an AI": ("As an AI language model, I see no pictures.", "it describes nothing"),
    "refusal in German": ("Es tut mir leid, das geht nicht.", "it describes nothing"),
    "brackets without end": ("[" * 20_000, ""),
    "objects without end": ('{"a":' * 8_000, ""),
    "far too much": ("A man. " * 10_000, "it is longer than"),
}  # fmt: skip
SPOKEN = {  # around a caption; scripts are found wherever their JSON stands
    "thought in words": "Thought: I look at it.\nAnswer: {}",
    "bold thought in words": "**Thinking:** a hat.\n\n**Final answer:** {}",
    "reasoning": "Reasoning: he wears one.\n\nCaption: {}",
    "next turn on the same line": "{} USER: And now?",
    "next turn behind hashes": "{}### Human: And now?",
    "label": "Final answer: {}",
    "a change of direction": "{}\u202e",
    "fence of tildes": "~~~\n{}\n~~~",
    "fence of quotes": "'''{}'''",
    "thought under a heading": "### Thought\nHe wears a hat.\n### Answer\n{}",
    "farewell": "{}\n\nHope this helps!",
    "offer": "{} Is there anything else I can help you with?",
    "tokens of bytes": "{}<0x0A>",
    "rule": "{}\n\n---",
    "note": "{}\n\nNote: this is a guess.",
    "number": "1. {}",
    "label with a number": "Caption 1: {}",
    "label of a role": "Assistant's response: {}",
    "invisible letters": "\ufeff{}\u200b",
    "stars": "*{}*",
    "key": '"caption": "{}"',
    "yes": "Yes, here you go: {}",
    "source": "{}【1†source】",
}
NO_CAPTION = REFUSED | {
    "JSON": ("```json\n" + SCRIPT + "\n```", "it holds markup"),
    "JSON on one line": ('```json {"caption": "A man in a hat."}```', "it holds markup"),
    "cut JSON": ('{"caption": "A man in', "it holds markup"),
    "two blocks": ("```\nA man.\n```\n```\nA hat.\n```", "2 blocks of code"),
    "null": ("null", "it describes nothing: 'null'"),
    "NaN": ("NaN", "it describes nothing: 'NaN'"),
    "tags": ("A man<br>in a hat.", "it holds markup"),
    "tags of their own": ("<unused94>thought\nA hat<unused95>A man in a hat.", "it holds markup"),
    "escaped tags": ("&lt;think&gt;A hat&lt;/think&gt;A man in a hat.", "it holds markup"),
    "thought without tags": ("Okay, let me think. The picture shows a man.", "it describes nothing"),
    "thought without its end in words": ("Thinking Process:\n1. A man.\n2. A hat.", "its thought doesn't end"),
    "thought about the user": ("Alright, the user wants a caption. A man in a hat.", "it describes nothing"),
    "thought about what to do": ("Okay, so I need to describe it. A man in a hat.", "it describes nothing"),
    "thought about what comes": ("First, I'll look at the hat. A man in a hat.", "it describes nothing"),
    "doubt": ("Hmm, a man in a hat.", "it describes nothing"),
    "decline": ("I must decline.", "it describes nothing"),
    "nothing available": ("No description available.", "it describes nothing"),
    "unavailable": ("(Description unavailable)", "it describes nothing"),
    "place for a caption": ("Caption goes here.", "it describes nothing"),
    "name of what was asked for": ("A short description of the image.", "it describes nothing"),
    "policy": ("Content policy violation.", "it describes nothing"),
    "call in words": ("Tool call: describe(image)", "it describes nothing"),
    "refusal in Japanese": ("画像が見えません。", "it describes nothing"),
    "refusal in Dutch": ("Ik zie geen afbeelding.", "it describes nothing"),
    "refusal of ability in German": ("Ich bin nicht in der Lage, das zu beschreiben.", "it describes nothing"),
    "steps": ("Let's think step by step. A man in a hat.", "it describes nothing"),
    "offer in front": ("A man in a hat. You can ask me more. He smiles.", "it describes nothing"),
    "refusal of many": ("We are unable to describe.", "it describes nothing"),
    "refusal without a subject": ("Unable to process the image.", "it describes nothing"),
    "refusal of the assistant": ("The assistant cannot help with this request.", "it describes nothing"),
    "refusal of a request": ("This request violates the policy.", "it describes nothing"),
    "missing picture without a verb": ("No image.", "it describes nothing"),
    "missing picture, seen": ("I see no image.", "it describes nothing"),
    "other refusal in Italian": ("Non riesco a vedere l'immagine.", "it describes nothing"),
    "impersonal refusal": ("This image cannot be described.", "it describes nothing"),
    "missing picture": ("It seems you haven't provided an image.", "it describes nothing"),
    "missing picture in the passive": ("It appears that no image was attached.", "it describes nothing"),
    "question": ("Could you please upload the image?", "it describes nothing"),
    "refusal in Chinese": ("我很抱歉，我不能描述。", "it describes nothing"),
    "refusal in French": ("Désolé, je ne peux pas.", "it describes nothing"),
    "refusal in Italian": ("Mi dispiace, non posso.", "it describes nothing"),
    "filter": ("Content filtered.", "it describes nothing"),
    "error": ("Error: CUDA out of memory", "it describes nothing"),
    "error of a server": ("Error 500", "it describes nothing"),
    "list": ("1. A man in a hat.\n2. A dog.", "it is a list of 2"),
    "captions to choose from": ("Caption 1: A man.\nCaption 2: A hat.", "it is a list of 2"),
    "rounds": ("A man in a hat. " * 3, "it says the same again and again"),
    "one word": ("Yes.", "it describes nothing"),
    "boxes": ("<|ref|>man<|/ref|><|det|>[[1,2]]<|/det|>", "it holds markup"),
    "link": ("![A man](hat.png)", "it holds markup"),
    "formula": ("\\boxed{A man in a hat.}", "it holds markup"),
    "refusal as a note": ("A man in a hat.\n\n(Note: I cannot identify people.)", "it describes nothing"),
    "refusal behind words": ("A man in a hat. I cannot tell who he is.", "it describes nothing"),
    "the prompt": (ASKED_FOR_CAPTION, "it repeats what was asked"),
    "the prompt's beginning": (ASKED_FOR_CAPTION[:60], "it repeats what was asked"),
    "the prompt and more": (ASKED_FOR_CAPTION + " A man in a hat.", "it repeats what was asked"),
    "the prompt as another's turn": ("User: " + ASKED_FOR_CAPTION, "it is empty"),
}
OTHERS = {  # further answers that are no captions, by what the reason says
    "it describes nothing": (
        *("Not able to comply.", "Can't help with that.", "There's no image here.", "The image failed to load."),
        *("502 Bad Gateway", "Rate limit exceeded. Try again.", "The model is loading, please wait.", "(no output)"),
        *("Action: look", "Q: What is it? A: A man.", "A man in a hat. Confidence: 0.93", "Score: 8/10"),
        *("It is against my guidelines.", "The request can't be fulfilled.", "This content may violate a policy."),
        *("As requested, a man.", "The answer should be one sentence.", "Nice photo!", "What a lovely picture!"),
        *("Below is a detailed description of the image.", "Als KI-Modell geht das nicht.", "作为一个人工智能，不行。"),
    ),
    "it ends in the middle of a sentence": ("A man in a hat stands by a", "A man in a hat and", "What it shows:"),
    "it says the same again and again": ("hat " * 13, "A man, a hat, " * 5),
    "it is no sentence": ("TODO", "hat.png", "aaaa" * 20),
    "it is a list of 2": ("1) A man in a hat. 2) A car.", "a) A man. b) A car."),
    "it holds markup": (
        *("describe(image=1)", 'caption = "A man."', "A man in a h\ufffdt.", "A hat &amp; a man.", "#hat #man #car"),
        *("| man | hat |", "A man: https://example.com/a.png", "{caption} of a man", "<think A man in a hat."),
    ),
}
NO_SCRIPT = REFUSED | {
    "prose": ("A man walks along a street.", "it is not JSON"),
    "cut JSON": (SCRIPT[:50], "it is not JSON"),
    "two objects": (SCRIPT + "\n" + OTHER, "it holds 2 JSON objects"),
    "a key twice": (SCRIPT[:-1] + ', "plots": ["A car."]}', "'plots' appears twice in"),
    "two blocks": (f"```json\n{SCRIPT}\n```\n```json\n{OTHER}\n```", "it holds 2 JSON objects"),
    "NaN": ('{"scene_elements": NaN, "plots": []}', "NaN is not a JSON value"),
    "null": ('{"scene_elements": null, "plots": null}', "scene_elements is not a list of sentences"),
    "null inside": ('{"scene_elements": [null], "plots": []}', "scene_elements is not a list of sentences"),
    "null as a word": ('{"scene_elements": ["null"], "plots": []}', "it describes nothing: 'null'"),
    "a number without end": ('{"scene_elements": ' + "9" * 5_000 + ', "plots": []}', "it is not JSON"),
    "an entry without words": ('{"scene_elements": ["~~~"], "plots": []}', "an entry without words"),
    "a thought as a sentence": (
        '{"scene_elements": ["Thought: a parked car."], "plots": []}',
        "its thought doesn't end",
    ),
    "refusal as a sentence": ('{"scene_elements": [], "plots": ["I cannot describe it."]}', "it describes nothing"),
    "role token inside": ('{"scene_elements": ["<|im_start|>A parked car."], "plots": []}', "it is not JSON"),
    "the prompt": (ASKED_FOR_SCRIPT, "an entry without words"),
    "the prompt as a sentence": (
        json.dumps({"scene_elements": ["Keep to the words of the descriptions."], "plots": []}),
        "it repeats what was asked",
    ),
}
FORGIVEN = {
    "JSON": SCRIPT,
    "fenced JSON": f"```json\n{SCRIPT}\n```",
    "fenced JSON on one line": f"```json {SCRIPT}```",
    "trailing commas": '{"scene_elements": ["A parked car.",], "plots": ["A man walks along a street.",],}',
    "curly quotes": "{“scene_elements”: [“A parked car.”], “plots”: [“A man walks along a street.”]}",
    "braces in prose": "The {JSON} is: " + SCRIPT,
    "labels": SCRIPT.replace("A parked", "Caption: A parked"),
    "stars": SCRIPT.replace("A parked car.", "**A parked car.**"),
    "quotes in quotes": SCRIPT.replace("A parked car.", '\\"A parked car.\\"'),
    "headings": SCRIPT.replace("A parked", "# A parked"),
    "the same object twice": f"{SCRIPT}\n{SCRIPT}",
    "quoted": json.dumps({"scene_elements": ["A parked car."], "plots": ["A man walks along a street."]}, indent=2),
}


def ids(table: dict[str, Any]) -> dict[str, Any]:
    """Arguments of parametrize: the values, under their names."""
    return {"argvalues": list(table.values()), "ids": list(table)}


def put(around: str, text: str) -> str:
    return around.replace("{}", text)


Captioned = Callable[[Reply], tuple[Caption, int]]
Written = Callable[[Reply], tuple[Script, int]]


def served(reply: Reply) -> Callable[[object], Said]:
    return lambda _: Said(reply.text, finish="length" if reply.cut else "stop")


def captioned_by_server(reply: Reply) -> tuple[Caption, int]:
    with ChatServer(served(reply)) as server:
        config = OpenAiConfig(server=ServerConfig(base_url=server.url, model="m"))
        ((made,),) = OpenAiCaptioner(config, FastClock().clock()).caption([PICTURE])
    return made, len(server.asked)


def written_by_server(reply: Reply) -> tuple[Script, int]:
    with ChatServer(served(reply)) as server:
        config = OpenAiWriterConfig(server=ServerConfig(base_url=server.url, model="m"))
        (made,) = OpenAiWriter(config, FastClock().clock()).write([FACTS])
    return made, len(server.asked)


@pytest.fixture(scope="module")
def local_captioner(tmp_path_factory: pytest.TempPathFactory) -> DeepseekVl:
    folder = tiny_checkpoints.deepseek_vl(tmp_path_factory.mktemp("deepseek"))
    return DeepseekVl(DeepseekVlConfig(source=str(folder), dtype="float32", most_tokens=4))


@pytest.fixture(scope="module")
def local_writer(tmp_path_factory: pytest.TempPathFactory) -> LlmWriter:
    return LlmWriter(LlmConfig(source=str(tiny_checkpoints.llama(tmp_path_factory.mktemp("llama"))), dtype="float32"))


@pytest.fixture(params=["server", "local"])
def captioned(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Captioned:
    """What becomes of a reply as a caption, and how often the model was asked."""
    if request.param == "server":
        return captioned_by_server
    model: DeepseekVl = request.getfixturevalue("local_captioner")

    def by_checkpoint(reply: Reply) -> tuple[Caption, int]:
        chats: list[str] = []

        def replies(batch: Sequence[object], chat: Any) -> list[Reply]:
            chats.append(model._text(chat))
            return [reply] * len(batch)

        monkeypatch.setattr(model, "_replies", replies)
        ((made,),) = model.caption([PICTURE])
        return made, len(chats)

    return by_checkpoint


@pytest.fixture(params=["server", "local"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Written:
    """What becomes of a reply as a script, and how often the model was asked."""
    if request.param == "server":
        return written_by_server
    model: LlmWriter = request.getfixturevalue("local_writer")

    def by_checkpoint(reply: Reply) -> tuple[Script, int]:
        rounds: list[int] = []

        def replies(chats: Sequence[object]) -> list[Reply]:
            rounds.append(len(chats))
            return [reply] * len(chats)

        monkeypatch.setattr(model, "_replies", replies)
        (made,) = model.write([FACTS])
        return made, len(rounds)

    return by_checkpoint


@pytest.mark.parametrize("around", **ids(WRAPPED | SPOKEN))
def test_what_stands_around_a_caption_is_taken_off(captioned: Captioned, around: str) -> None:
    assert captioned(Reply(put(around, MAN))) == (Caption(PICTURE.row_id, -1, MAN), 1)


@pytest.mark.parametrize(("text", "reason"), **ids(NO_CAPTION))
def test_what_is_no_caption_is_asked_for_again_and_then_measured(captioned: Captioned, text: str, reason: str) -> None:
    made, asked = captioned(Reply(text))
    assert asked == 3
    assert made.reason
    assert reason in made.reason
    assert made.text.startswith("No people are seen.")


@pytest.mark.parametrize(("reason", "texts"), list(OTHERS.items()))
def test_more_that_is_no_caption(reason: str, texts: Sequence[str]) -> None:
    for text in texts:
        with pytest.raises(AnswerError, match=reason):
            caption(text, cut=False)


@pytest.mark.parametrize("end", [" (7 words)", " [Word count: 7]", " [end]", " ###", " /no_think", "\nEND"])
def test_what_models_count_and_mark_behind_a_caption_is_taken_off(end: str) -> None:
    assert caption(MAN + end, cut=False) == MAN


@pytest.mark.parametrize("unseen", ["\0", "\u200b", "\ud83d", "\x9f", "\x1b[1m"])
def test_what_nobody_sees_parts_no_word(unseen: str) -> None:
    assert caption(MAN.replace("hat", f"h{unseen}at"), cut=False) == MAN


CAPTIONS_LIKE_OTHER_THINGS = (
    "In the picture, you can see a man in a hat.",
    "There are no other people in the image.",
    "A man in a suit and a man in a coat and a man in a hat and a man in a shirt.",
    "The request is nailed to the door.",
    "The content of the bag lies on the table.",
    "No answer comes; he waits by the phone.",
    "The frame is empty but for a chair.",
    "A door he is fond of",
    "Two (or three) men stand by a car.",
    "Cannon smoke drifts over a field. An AI robot walks through a corridor.",
    "An assistant: a woman at a desk.",
    "A bottle is labelled Human: blood type A.",
    'A man says: "I can\'t help you."',
    "It is not possible to see his face.",
    "The image on the wall shows a dog.",
    "A waiter waits. So a man stands there first.",
    "A sign reads USER: 5.",
    "No people are seen. Two errors stand on a screen.",
    "The frame can't be opened; a woman pulls at it.",
    "Windows error: 404 on a blue screen.",
    "I-beams carry the roof.",
    "The assistant can be seen behind the director.",
    'A woman says: "Come in. You look tired." He nods.',
    "Pleased visitors stand in line.",
)


@pytest.mark.parametrize("text", CAPTIONS_LIKE_OTHER_THINGS)
def test_a_caption_that_looks_like_something_else_is_one(text: str) -> None:
    assert caption(text, cut=False) == text


@pytest.mark.parametrize(
    "text",
    [
        *("#" * 20_000, '{"a": ' + '"\\' * 20_000, "here " + "image " * 8_000, f"A man.{chr(10) * 40_000}A hat."),
        *(
            "e.g. " * 9_000,
            "<think>" * 7_000,
            "```a" * 10_000,
            "answer\n" * 7_000,
            "let me know. " * 3_000 + "\nA man.",
        ),
    ],
)
def test_the_effort_for_an_answer_grows_with_its_length_alone(text: str) -> None:
    begin = process_time()
    for read in (lambda: caption(text, cut=False), lambda: json_value(text, cut=False)):
        with suppress(AnswerError):
            read()
    assert process_time() - begin < 4  # CPU seconds; one that grows with the square takes 16 or more


def test_a_cut_answer_is_not_looked_into() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        plain("<think>", cut=True)


@pytest.mark.parametrize("around", **ids(WRAPPED))
def test_what_stands_around_a_script_is_taken_off(written: Written, around: str) -> None:
    made, asked = written(Reply(put(around, SCRIPT)))
    assert (made.written_by, made.reason, asked) == ("llm", "", 1)
    assert (made.scene_elements, made.plots) == (("A parked car.",), ("A man walks along a street.",))


@pytest.mark.parametrize("text", **ids(FORGIVEN))
def test_json_that_is_nearly_right_is_read(written: Written, text: str) -> None:
    made, asked = written(Reply(text))
    assert (made.written_by, made.reason, asked) == ("llm", "", 1)
    assert (made.scene_elements, made.plots) == (("A parked car.",), ("A man walks along a street.",))


@pytest.mark.parametrize(("text", "reason"), **ids(NO_SCRIPT))
def test_what_is_no_script_is_asked_for_again_and_then_left_to_the_template(
    written: Written, text: str, reason: str
) -> None:
    made, asked = written(Reply(text))
    assert asked == 3
    assert made.written_by == "template"
    assert made.reason
    assert reason in made.reason
    assert (made.scene_elements, made.plots) == (("A car is parked.",), ("A man in a hat walks along a street.",))


def test_a_cut_answer_is_asked_for_again_and_never_kept(captioned: Captioned, written: Written) -> None:
    why = "it was cut off because it is too long"
    made, asked = captioned(Reply("A man in a hat. He wea", cut=True))
    assert (made.reason, asked) == (why, 3)
    assert "man" not in made.text
    script, asked = written(Reply(SCRIPT, cut=True))
    assert (script.written_by, script.reason, asked) == ("template", why, 3)


def test_a_local_captioner_is_told_why_and_its_next_answer_counts(
    local_captioner: DeepseekVl, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, chats = ["<think>Hm", MAN], []

    def replies(_: object, chat: Any) -> list[Reply]:
        chats.append(local_captioner._text(chat))
        return [Reply(said.pop(0))]

    monkeypatch.setattr(local_captioner, "_replies", replies)
    assert local_captioner.caption([PICTURE]) == [[Caption(PICTURE.row_id, -1, MAN)]]
    assert chats[1].startswith(chats[0][: len(ASKED_FOR_CAPTION)])
    assert "That answer can't be used: its thought doesn't end" in chats[1]
    assert chats[1].count(local_captioner._processor.image_token) == 1


def test_a_real_local_captioner_can_be_asked_again(tmp_path: Path) -> None:
    folder = tiny_checkpoints.deepseek_vl(tmp_path)
    model = DeepseekVl(DeepseekVlConfig(source=str(folder), dtype="float32", most_tokens=2, answers=2))
    ((made,),) = model.caption([PICTURE])
    assert made.reason
    assert made.text.startswith("No people are seen.")


@pytest.mark.parametrize(
    "said",
    [
        Said(raw='{"choices": [{"message": {"content": null, "reasoning_content": "A man in a hat."}}]}'),
        Said(raw='{"choices": [{"message": {"content": null, "refusal": "I can\'t."}}]}'),
        Said(raw='{"choices": [{"finish_reason": "content_filter", "message": {"content": "A man in"}}]}'),
        Said(raw='{"choices": [{"message": {"content": [1, "A man in a hat."]}}]}'),
    ],
    ids=["thoughts alone", "refusal", "filtered", "odd parts"],
)  # fmt: skip
def test_a_server_whose_reply_holds_no_answer_said_nothing(said: Said) -> None:
    with ChatServer(lambda _: said) as server:
        config = OpenAiConfig(server=ServerConfig(base_url=server.url, model="m"))
        ((made,),) = OpenAiCaptioner(config, FastClock().clock()).caption([PICTURE])
    assert made.reason == "it is empty"


def test_a_reply_in_parts_is_read_and_half_a_character_stops_nothing() -> None:
    parts = [{"type": "text", "text": "A man "}, {"type": "text", "text": "in a hat."}, {"type": "refusal"}]
    for content in (parts, "A man in a hat.\ud83d"):
        raw = json.dumps({"choices": [{"message": {"content": content}}]})
        with ChatServer(lambda _, raw=raw: Said(raw=raw)) as server:
            config = OpenAiConfig(server=ServerConfig(base_url=server.url, model="m"))
            ((made,),) = OpenAiCaptioner(config, FastClock().clock()).caption([PICTURE])
        assert made.text.startswith("A man in a hat.")
        made.text.encode()


@pytest.mark.parametrize(
    "text",
    [
        'A sign reads "I can\'t wait". A man says “hello” to her.',
        "Here a man and a woman stand: he wears a hat, she a coat.",
        "Sorry-looking houses stand along the road.",
        "A user manual lies on the table. The light and the colours are warm.",
        "一个男人走在街上。",
        "A man [seen from behind] opens a door with the number 3 < 4.",
    ],
)
def test_captions_that_only_look_like_something_else_stay_word_for_word(text: str) -> None:
    assert caption(text, cut=False) == text


@pytest.mark.parametrize(
    "label",
    ["Caption: ", "**Caption:** ", "The description: ", "# Description\n", "### Response:\n", "I'd be happy to help! "],
)
def test_labels_and_greetings_are_taken_off(label: str) -> None:
    assert caption(label + MAN, cut=False) == MAN


def test_plain_text_and_json_are_what_they_were() -> None:
    assert plain(MAN, cut=False) == MAN
    assert json_value('{"a": "x, ]", "b": ["“c”,"]}', cut=False) == {"a": "x, ]", "b": ["“c”,"]}
    with pytest.raises(AnswerError, match="cut off"):
        plain(MAN, cut=True)

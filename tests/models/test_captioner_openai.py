"""Captions by a server: each row and person gets the words about its own picture, whatever the server does."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.captioner import FRAME, Caption, FrameFacts, OpenAiConfig
from models.captioner.answers import caption, fault
from models.captioner.openai import OpenAiCaptioner
from models.captioner.subjects import SMALLEST, crop, joined
from models.detector import Person
from models.server import ServerConfig
from storage.fingerprint import fingerprint
from tests.models.chat_server import Asked, ChatServer, Said
from tests.models.test_server import FastClock

LEFT, RIGHT = Person((0.1, 0.1, 0.4, 0.9), 0.9), Person((0.6, 0.1, 0.9, 0.9), 0.9)


def captioner(server: ChatServer, **options: object) -> OpenAiCaptioner:
    config = OpenAiConfig(server=ServerConfig.model_validate({"base_url": server.url, "model": "m"} | options))
    return OpenAiCaptioner(config, FastClock().clock())


def frames(count: int = 6) -> list[FrameFacts]:
    """Grey pictures; every second one is the same. The persons' halves are darker and lighter than the whole."""
    found = []
    for n in range(count):
        grey = 60 + 20 * n if n % 2 else 100
        image = np.full((80, 120, 3), grey, np.uint8)
        image[:, :60] -= 20
        image[:, 60:] += 20
        found.append(FrameFacts(f"film-{n:06d}", image, (LEFT, RIGHT)[: n % 3]))
    return found


def seen(asked: Asked) -> Said:
    return Said(f"A picture as grey as {asked.colour()[0]} of {asked.key}.")


def wanted(facts: FrameFacts) -> list[Caption]:
    grey = round(float(facts.image.mean()))
    greys = [grey, grey - 20, grey + 20][: 1 + len(facts.persons)]
    return [
        Caption(facts.row_id, index, f"A picture as grey as {grey} of {facts.row_id}/{index}.")
        for index, grey in enumerate(greys, FRAME)
    ]


def clumsy(asked: Asked) -> Said:
    """Fails in another way at each first attempt."""
    ways = [
        Said(status=500),
        Said(""),
        Said(close=True),
        Said(status=429),
        Said("A cat.", name="chatcmpl-1"),
        seen(asked),
    ]
    return ways[sum(asked.key.encode()) % len(ways)] if asked.times == 0 else seen(asked)


@pytest.mark.parametrize("answer", [seen, clumsy])
def test_captions_are_those_of_their_pictures_whatever_the_order(answer: Callable[[Asked], Said]) -> None:
    facts = frames()
    total = sum(1 + len(one.persons) for one in facts)
    with ChatServer(answer, together=total) as server:
        said = captioner(server, concurrency=total).caption(facts)
    assert server.finished[:total] != sorted(server.finished[:total])
    assert said == [wanted(each) for each in facts]


def test_frames_and_persons_are_asked_with_their_own_prompts() -> None:
    with ChatServer(seen) as server:
        model = captioner(server)
        model.caption(frames(2))
    prompts = {asked.key: asked.prompt for asked in server.asked}
    assert prompts["film-000001/-1"].startswith("Describe this film still")
    assert prompts["film-000001/0"].startswith("Describe the person in the middle")
    assert server.asked[0].body["temperature"] == 0
    assert (model.name, model.licence) == ("openai", "see the served model")
    assert model.revision.startswith("m as served, prompts ")


def test_answers_that_stay_useless_are_measured_and_say_why() -> None:
    with ChatServer(lambda asked: Said("I'm sorry, I can't." if asked.key.endswith("2/1") else "A wall.")) as server:
        said = captioner(server).caption(frames(3))
    assert [one.reason for mine in said for one in mine] == [""] * 5 + ["it describes nothing: \"I'm sorry, I can't.\""]
    assert said[2][2].text.startswith("A person on the right")
    assert sum(asked.key == "film-000002/1" for asked in server.asked) == 3


def test_prompts_and_model_name_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    mine = fingerprint(OpenAiConfig())
    assert fingerprint(OpenAiConfig(weights="0123abc")) != mine
    (tmp_path / "frame.txt").write_text("What is it?")
    monkeypatch.setattr("models.captioner.openai.PROMPTS", tmp_path)
    assert fingerprint(OpenAiConfig()) != mine


@pytest.mark.parametrize(
    ("text", "cut", "reason"),
    [
        ("A man walks. He wears red.", False, ""),
        ("一个男人走在街上。", False, ""),
        ("", False, "it is empty"),
        (" \n", False, "it is empty"),
        ("...!!! 123", False, "it has no words"),
        ("I cannot describe people.", False, "it describes nothing"),
        ("A man walks along the", True, "it was cut off"),
        ("A man walks. He wea", True, "it was cut off"),
        (" ".join(f"Wall number {n} is red." for n in range(200)), False, "longer than 2000"),
        ("A wall. " * 900, False, "it says the same again and again"),
        ("- A man walks.\n- He is tall.", False, "it is a list of 2"),
    ],
)
def test_what_is_no_caption(text: str, cut: bool, reason: str) -> None:
    assert (reason in fault(text, cut)) if reason else fault(text, cut) == ""


def test_captions_are_tidied() -> None:
    assert caption("- A man walks.\n\nA man walks. He is  tall.", cut=False) == "A man walks. He is  tall."


@given(st.tuples(*[st.floats(-0.2, 1.2)] * 4), st.integers(SMALLEST, 90), st.integers(SMALLEST, 90))
def test_a_crop_has_pixels_and_lies_inside_the_picture(box: tuple[float, ...], height: int, width: int) -> None:
    x0, y0, x1, y1 = box
    image = np.zeros((height, width, 3), np.uint8)
    found = crop(image, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), 0.1)
    assert SMALLEST <= found.shape[0] <= height
    assert SMALLEST <= found.shape[1] <= width


def test_a_crop_grows_by_its_margin() -> None:
    columns = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    found = crop(columns, (0.25, 0.2, 0.75, 0.8), 0.1)
    assert (found[0, 0, 0], found[0, -1, 0]) == (40, 159)
    assert found.shape[0] == 72


def test_captions_that_are_lost_doubled_or_strange_are_refused() -> None:
    one = [FrameFacts("r", np.zeros((20, 20, 3), np.uint8), (LEFT,))]
    frame, person = Caption("r", FRAME, "a"), Caption("r", 0, "b")
    assert joined(one, [person, frame]) == [[frame, person]]
    for wrong in (
        [frame],
        [frame, person, person],
        [frame, Caption("r", 1, "b")],
        [frame, person, Caption("s", 0, "b")],
    ):
        with pytest.raises(ValueError, match="captions of"):
            joined(one, wrong)
    with pytest.raises(ValueError, match="captions of"):
        joined(one * 2, [frame, person, frame, person])

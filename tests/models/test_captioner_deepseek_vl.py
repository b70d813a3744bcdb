"""DeepSeek-VL's real classes from tiny checkpoints: the right words for each row, and what is said of a missing one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.captioner import FRAME, DeepseekVlConfig, FrameFacts, build
from models.captioner.deepseek_vl import opened
from models.detector import Person
from models.weights.checkpoint import CheckpointError
from storage.fingerprint import fingerprint
from tests.models import tiny_checkpoints

LEARNT = 0.002  # loss; a model that mistakes one colour for another has ten times that
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 220)}


def config(folder: Path, **options: object) -> DeepseekVlConfig:
    return DeepseekVlConfig.model_validate({"source": str(folder), "dtype": "float32", "most_tokens": 20} | options)


def picture(colour: str, width: int = 112, height: int = 64) -> np.ndarray:
    return np.full((height, width, 3), COLOURS[colour], np.uint8)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "hybrid"])
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learnt to say "A blue wall." of a blue picture, and so on."""
    folder = tiny_checkpoints.deepseek_vl(tmp_path_factory.mktemp("deepseek"), hybrid=request.param)
    processor, model = opened(config(folder))
    chats = [
        processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}],
            add_generation_prompt=True,
            tokenize=False,
        )
        + f"A {colour} wall.<eos>"
        for colour in COLOURS
    ]
    sizes = ((112, 64), (46, 64), (47, 62), (48, 60))  # of frames, and about those of persons
    pictures = [[picture(colour, *size)] for size in sizes for colour in COLOURS]
    inputs = processor(text=chats * len(sizes), images=pictures, padding=True, return_tensors="pt")
    labels_BT = inputs["input_ids"].masked_fill(inputs["input_ids"] == model.config.image_token_id, -100)
    model.train().requires_grad_(True)
    learner = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(600):
        loss = model(**inputs, labels=labels_BT).loss
        if float(loss.detach()) < LEARNT:
            break
        loss.backward()
        learner.step()
        learner.zero_grad()
    assert float(loss.detach()) < LEARNT
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def short_prompts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The prompt that the tiny model was taught with."""
    for name in ("frame", "person", "again"):
        (tmp_path / f"{name}.txt").write_text("?\n")
    monkeypatch.setattr("models.captioner.deepseek_vl.PROMPTS", tmp_path)


def test_every_picture_gets_its_own_words_whatever_the_batch(taught: Path) -> None:
    walls = picture("red")
    walls[:, 56:] = picture("blue")[:, 56:]
    on_the_left, on_the_right = Person((0.05, 0.1, 0.4, 0.9), 0.9), Person((0.6, 0.1, 0.95, 0.9), 0.9)
    frames = [
        FrameFacts("f-000003", picture("green"), (on_the_left,)),
        FrameFacts("f-000001", walls, (on_the_right, on_the_left)),
        FrameFacts("f-000002", picture("blue")),
        FrameFacts("f-000000", picture("green")),
    ]
    said = build(config(taught, batch=2)).caption(frames)
    assert [[(one.row_id, one.subject_index) for one in mine] for mine in said] == [
        [("f-000003", FRAME), ("f-000003", 0)],
        [("f-000001", FRAME), ("f-000001", 0), ("f-000001", 1)],
        [("f-000002", FRAME)],
        [("f-000000", FRAME)],
    ]
    texts = [[one.text for one in mine] for mine in said]
    assert texts[0] == ["A green wall."] * 2
    assert texts[1][1:] == ["A blue wall.", "A red wall."]
    assert texts[2:] == [["A blue wall."], ["A green wall."]]
    assert not any(one.reason for mine in said for one in mine)
    assert build(config(taught, batch=16)).caption(frames) == said


def test_what_is_no_caption_is_measured_and_says_why(taught: Path) -> None:
    ((frame,),) = build(config(taught, most_tokens=2)).caption([FrameFacts("f-000001", picture("blue"))])
    assert frame.reason == "it was cut off because it is too long"
    assert frame.text.startswith("No people are seen.")


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_tokenizer_from_before_transformers_5_is_read_as_well(tmp_path: Path, hybrid: bool) -> None:
    folder = tiny_checkpoints.deepseek_vl(tmp_path / "old", hybrid=hybrid, old_tokenizer=True)
    assert "image_token" not in (folder / "tokenizer_config.json").read_text()
    processor, _ = opened(config(folder))
    assert processor.image_token == "<image_placeholder>"


def test_weights_and_prompts_name_the_rows_and_the_place_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tiny_checkpoints.deepseek_vl(tmp_path / "here")
    there = here.rename(tmp_path / "there")
    again = tiny_checkpoints.deepseek_vl(tmp_path / "again", seed=1)
    mine = fingerprint(config(there))
    assert fingerprint(config(there.rename(tmp_path / "elsewhere"), batch=3)) == mine
    assert fingerprint(config(again)) != mine
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "frame.txt").write_text("What is it?")
    monkeypatch.setattr("models.captioner.deepseek_vl.PROMPTS", prompts)
    assert fingerprint(config(tmp_path / "elsewhere")) != mine


def test_a_missing_checkpoint_names_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"deepseek-vl-7b-chat.*captioner\.source") as error:
        fingerprint(config(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in str(error.value)


def test_another_model_is_refused_by_its_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(CheckpointError, match="'llama', which is not DeepSeek-VL in transformers' layout"):
        build(config(tmp_path))

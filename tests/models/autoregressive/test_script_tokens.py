"""How multimodal scripts become sequences: order, padding, limits."""

import numpy as np
import pytest
import torch

from models.autoregressive.packing import Window, pack
from models.autoregressive.script_tokens import (
    END_OF_FRAME,
    MAX_FACES,
    MAX_SENTENCES,
    START_OF_FRAME,
    FrameScript,
    Slot,
    lay_out,
)

ROWS = {"Characters:": (0, 1), "Scene Elements:": (2, 3, 1), "Plots:": (4, 1), "-": (5,)}
L, D = 2, 3


def script(kinds: list[int], faces: int = 0, choices: int = 0, name: str = "film-000001") -> FrameScript:
    random = np.random.default_rng(len(kinds) + 10 * faces)
    return FrameScript(
        name,
        random.standard_normal((len(kinds), 4)).astype(np.float32),
        np.array(kinds, np.int8),
        random.standard_normal((faces, 5)).astype(np.float32),
        tuple(random.standard_normal((choices, 5)).astype(np.float32) for _ in range(faces)) if choices else (),
    )


def shown(pieces) -> list[str]:
    words = {row: text for text, rows in ROWS.items() for row in rows[:1]}
    marks = {START_OF_FRAME: "<", END_OF_FRAME: ">"}
    names = {Slot.SENTENCE: "s", Slot.FACE: "f", Slot.TOKEN: "e"}
    told = []
    for piece in pieces:
        if piece.kind == Slot.MARKER:
            told.append(marks[piece.row])
        elif piece.kind == Slot.IDENTIFIER:
            told += [words[piece.row]] if piece.row in words else []
        else:
            told.append(f"{names[piece.kind]}{piece.row}")
    return told


def test_the_papers_layout_has_bullets_and_faces_behind_their_characters():
    got = shown(lay_out(script([0, 1, 0, 2, 1], faces=1), ROWS, "paper"))
    want = "<|Characters:|-|s0|f0|-|s2|Scene Elements:|-|s1|-|s4|Plots:|-|s3|>"
    assert got == want.split("|")


def test_the_compact_layout_leaves_out_the_bullets():
    got = shown(lay_out(script([0, 2], faces=2), ROWS, "compact"))
    assert got == ["<", "Characters:", "s0", "f0", "f1", "Scene Elements:", "Plots:", "s1", ">"]


def test_pack_places_every_row_and_predicts_from_the_slot_before():
    frames = [script([0, 1], faces=1), script([2])]
    tokens_TLD = torch.arange(2 * L * D, dtype=torch.float32).reshape(2, L, D)
    references_RLD = -torch.ones(3, L, D)
    packed = pack([Window(frames, tokens_TLD, references_RLD)], ROWS, "paper")
    kinds = packed.kinds_PS[0]
    assert kinds[: 3 * L].eq(Slot.TOKEN).all()
    assert kinds[3 * L] == Slot.MARKER
    for t in range(2):
        first = int(packed.predict_BTL[0, t, 0])
        assert kinds[first] == Slot.MARKER
        assert packed.rows_PS[0, first] == END_OF_FRAME
        assert packed.predict_BTL[0, t].tolist() == [first, first + 1]
        assert kinds[first + 1 : first + 1 + L].eq(Slot.TOKEN).all()
    torch.testing.assert_close(packed.tokens_ND, torch.cat([references_RLD, tokens_TLD]).reshape(-1, D))
    assert np.array_equal(packed.sentences_NC.numpy(), np.concatenate([frame.sentences for frame in frames]))
    assert np.array_equal(packed.faces_NC.numpy(), frames[0].faces)
    torch.testing.assert_close(packed.targets_BTLD[0], tokens_TLD)


def test_shorter_windows_are_padded_at_the_end():
    windows = [Window([script([0])] * n, torch.ones(n, L, D)) for n in (3, 1)]
    packed = pack(windows, ROWS, "paper")
    alone = pack(windows[1:], ROWS, "paper")
    length = alone.kinds_PS.shape[1]
    assert torch.equal(packed.kinds_PS[1, :length], alone.kinds_PS[0])
    assert packed.kinds_PS[1, length:].eq(Slot.PADDING).all()
    assert packed.valid_BT.tolist() == [[True] * 3, [True, False, False]]


def test_the_last_script_may_wait_for_its_keyframe():
    packed = pack([Window([script([0]), script([1])], torch.ones(1, L, D))], ROWS, "paper")
    assert packed.valid_BT.tolist() == [[True, False]]
    assert packed.predict_BTL[0, 1, 0] == packed.kinds_PS.shape[1] - 1
    with pytest.raises(ValueError, match="2 scripts but tokens of 0"):
        Window([script([0]), script([1])], torch.ones(0, L, D))
    with pytest.raises(ValueError, match="1 reference scripts but 3 reference frames"):
        Window([script([0])], torch.ones(1, L, D), torch.ones(3, L, D), [script([0])])


def test_no_more_than_fifteen_sentences_and_five_faces():
    assert len(lay_out(script([0] * MAX_SENTENCES, faces=MAX_FACES), ROWS, "compact")) == 2 + 7 + 15 + 5
    with pytest.raises(ValueError, match="film-000001: 16 sentences and 0 faces"):
        script([0] * 16)
    with pytest.raises(ValueError, match="6 faces"):
        script([0], faces=6)
    with pytest.raises(ValueError, match=r"0, 1 or 2, got \[3\]"):
        script([3])


def test_faces_are_drawn_from_the_same_character_and_repeat_with_the_seed():
    frame = script([0], faces=2, choices=3)
    drawn = [frame.with_random_faces(np.random.default_rng(seed)).faces for seed in (0, 0, 1, 2, 3)]
    assert np.array_equal(drawn[0], drawn[1])
    assert any(not np.array_equal(drawn[0], other) for other in drawn[2:])
    for faces in drawn:
        assert all(any(np.array_equal(face, c) for c in frame.face_choices[i]) for i, face in enumerate(faces))
    none = FrameScript("x", frame.sentences, frame.kinds, frame.faces, (np.zeros((0, 5), np.float32),) * 2)
    assert np.array_equal(none.with_random_faces(np.random.default_rng(0)).faces, frame.faces)
    assert len(frame.without_faces().faces) == 0


def test_the_summary_tells_kinds_apart_and_is_zero_where_there_is_nothing():
    frame = script([0, 1, 1], faces=1)
    parts = np.split(frame.summary(), [4, 8, 12])
    assert np.allclose(parts[0], frame.sentences[0])
    assert np.allclose(parts[1], frame.sentences[1:].mean(0))
    assert not parts[2].any()
    assert np.allclose(parts[3], frame.faces[0])

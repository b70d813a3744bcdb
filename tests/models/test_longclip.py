"""LongCLIP from its own layout, against a forward written by hand; what is too long."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.sentence import LongClipConfig, build
from models.sentence.longclip import merged
from models.weights.checkpoint import CheckpointError

POSITIONS, WIDTH, JOINT, WORDS = 248, 64, 16, 49408


def state_dict():
    """LongCLIP's tensors, narrow and with two layers; the image tower's single tensor stands for all of it."""
    torch.manual_seed(0)

    def normal(*shape, std=0.1):
        return std * torch.randn(*shape)

    weights = {
        "token_embedding.weight": normal(WORDS, WIDTH),
        "positional_embedding": normal(POSITIONS, WIDTH),
        "positional_embedding_res": normal(POSITIONS, WIDTH),
        "ln_final.weight": 1 + normal(WIDTH),
        "ln_final.bias": normal(WIDTH),
        "text_projection": normal(WIDTH, JOINT),
        "logit_scale": torch.tensor(4.6),
        "visual.proj": normal(8, 8),
    }
    for i in range(2):
        block = f"transformer.resblocks.{i}."
        weights |= {
            f"{block}attn.in_proj_weight": normal(3 * WIDTH, WIDTH, std=0.3),
            f"{block}attn.in_proj_bias": normal(3 * WIDTH),
            f"{block}attn.out_proj.weight": normal(WIDTH, WIDTH, std=0.3),
            f"{block}attn.out_proj.bias": normal(WIDTH),
            f"{block}mlp.c_fc.weight": normal(4 * WIDTH, WIDTH),
            f"{block}mlp.c_fc.bias": normal(4 * WIDTH),
            f"{block}mlp.c_proj.weight": normal(WIDTH, 4 * WIDTH),
            f"{block}mlp.c_proj.bias": normal(WIDTH),
        }
        for norm in ("ln_1", "ln_2"):
            weights |= {f"{block}{norm}.weight": 1 + normal(WIDTH), f"{block}{norm}.bias": normal(WIDTH)}
    return weights


@pytest.fixture(scope="module")
def weights():
    return state_dict()


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("longclip") / "longclip-tiny.pt"
    torch.save(weights, path)
    return path


@pytest.fixture(scope="module")
def encoder(file):
    return build(LongClipConfig(source=str(file), width=JOINT, batch=2))


def by_hand(weights, tokens):
    """One sentence through the text tower as LongCLIP's paper has it: all 248 places, padded with zeros."""
    ids = torch.zeros(POSITIONS, dtype=torch.long)
    ids[: len(tokens)] = torch.tensor(tokens)
    first = (torch.arange(POSITIONS) < 20)[:, None]
    positions = weights["positional_embedding"] * first + weights["positional_embedding_res"] * ~first
    x = weights["token_embedding.weight"][ids] + positions
    later = torch.ones(POSITIONS, POSITIONS).triu(1).bool()
    for i in range(2):
        part = {
            name.split(".", 3)[3]: tensor
            for name, tensor in weights.items()
            if name.startswith(f"transformer.resblocks.{i}.")
        }
        h = F.layer_norm(x, [WIDTH], part["ln_1.weight"], part["ln_1.bias"])
        q, k, v = (h @ part["attn.in_proj_weight"].T + part["attn.in_proj_bias"]).chunk(3, -1)
        attention = (q @ k.T / WIDTH**0.5).masked_fill(later, -torch.inf).softmax(-1)
        x = x + (attention @ v) @ part["attn.out_proj.weight"].T + part["attn.out_proj.bias"]
        h = F.layer_norm(x, [WIDTH], part["ln_2.weight"], part["ln_2.bias"])
        h = h @ part["mlp.c_fc.weight"].T + part["mlp.c_fc.bias"]
        h = h * torch.sigmoid(1.702 * h)
        x = x + h @ part["mlp.c_proj.weight"].T + part["mlp.c_proj.bias"]
    x = F.layer_norm(x, [WIDTH], weights["ln_final.weight"], weights["ln_final.bias"])
    vector = x[ids.argmax()] @ weights["text_projection"]
    return (vector / vector.norm()).numpy()


SENTENCES = [
    "A man in a red coat stands by the window.",
    "The light is dim.",
    "The woman turns her head towards the door, and behind her, out of the dark of the long corridor, comes a tall man "
    "with a lamp in his hand whose light falls on the wall beside them.",
]


def test_vectors_equal_a_forward_by_hand_with_both_tables_of_positions(encoder, weights):
    vectors = encoder.encode(SENTENCES)
    assert vectors.shape == (3, JOINT)
    for vector, sentence in zip(vectors, SENTENCES, strict=True):
        np.testing.assert_allclose(vector, by_hand(weights, encoder._tokens(sentence)), atol=1e-5)
    assert len(encoder._tokens(SENTENCES[2])) > 20  # reaches into the second table


def test_the_first_twenty_positions_come_from_the_first_table(weights):
    table = merged(weights)["positional_embedding"]
    torch.testing.assert_close(table[:20], weights["positional_embedding"][:20])
    torch.testing.assert_close(table[20:], weights["positional_embedding_res"][20:])


def test_a_folder_of_transformers_gives_the_same(encoder, tmp_path):
    encoder._model.save_pretrained(tmp_path)
    again = build(LongClipConfig(source=str(tmp_path), width=JOINT))
    np.testing.assert_allclose(again.encode(SENTENCES), encoder.encode(SENTENCES), atol=1e-6)
    assert (again.width, again.longest, again.licence) == (JOINT, POSITIONS, "Apache-2.0")


def test_company_and_order_do_not_count(encoder, file):
    one_by_one = build(LongClipConfig(source=str(file), width=JOINT, batch=1))
    mixed = encoder.encode([SENTENCES[1], SENTENCES[0], SENTENCES[1]])
    np.testing.assert_allclose(mixed[0], one_by_one.encode(SENTENCES[1:2])[0], atol=1e-5)
    np.testing.assert_array_equal(mixed[0], mixed[2])
    assert encoder.encode([]).shape == (0, JOINT)
    with pytest.raises(ValueError, match="sentence 1 of 2 is empty"):
        encoder.encode(["A.", " "])


def test_a_sentence_that_is_too_long_is_cut_after_a_word_and_named(encoder, weights):
    fits = " ".join(["house"] * (POSITIONS - 2))
    long = f"{fits} unbelievable ends"
    assert len(encoder._tokens(fits)) == POSITIONS
    assert encoder.too_long([fits, long, "short"]) == [long]
    assert encoder.shortened(long) == fits
    np.testing.assert_array_equal(encoder.encode([long])[0], encoder.encode([fits])[0])
    np.testing.assert_allclose(encoder.encode([fits])[0], by_hand(weights, encoder._tokens(fits)), atol=1e-5)


def test_one_endless_word_is_cut_inside(encoder):
    word = "".join(chr(97 + i * i % 26) for i in range(2000))
    assert encoder.too_long([word]) == [word]
    assert np.isfinite(encoder.encode([word])).all()


def test_a_missing_or_strange_checkpoint_says_what_to_fetch_and_where_to_put_it(file, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path))
    cure = r"longclip-L\.pt from BeichenZhang/LongCLIP-L.*set sentence\.source .* put it at '.*longclip-L\.pt'"
    with pytest.raises(CheckpointError, match=f"no such file.*{cure}"):
        build(LongClipConfig())
    with pytest.raises(CheckpointError, match=r"16 numbers, sentence\.width is 768"):
        build(LongClipConfig(source=str(file)))
    clip = {key: tensor for key, tensor in weights.items() if key != "positional_embedding_res"}
    torch.save(clip, tmp_path / "clip.pt")
    with pytest.raises(CheckpointError, match="a CLIP, no LongCLIP"):
        build(LongClipConfig(source="clip.pt", width=JOINT))
    torch.save({key: weights[key] for key in weights if "resblocks.1.ln_2" not in key}, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match="tensors are missing"):
        build(LongClipConfig(source="part.pt", width=JOINT))

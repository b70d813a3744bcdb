"""Backbones: cut to the identifiers, open in plain transformers."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, PreTrainedTokenizerFast

from models.autoregressive.script_tokens import IDENTIFIERS
from models.backbone import LlamaBackbone, LlamaTinyBackbone, SmolLM2Backbone, build

WORDS = ["<unk>", "other", "Characters", ":", "more", "Scene", "Elements", "Plots", "-", "words"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A causal language model with 3 layers and a tokenizer of ten words, as save_pretrained writes them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(folder)
    return folder, model


def test_a_pretrained_backbone_keeps_its_first_layers_and_the_identifiers_alone(checkpoint):
    folder, whole = checkpoint
    backbone = build(LlamaBackbone(source=str(folder), layers=2))
    assert len(backbone.model.layers) == 2
    used = [2, 3, 5, 6, 7, 8]
    assert backbone.model.embed_tokens.weight.shape == (len(used), 32)
    torch.testing.assert_close(backbone.model.embed_tokens.weight, whole.model.embed_tokens.weight[used])
    assert backbone.identifiers["Scene Elements:"] == (2, 3, 1)
    assert set(backbone.identifiers) == set(IDENTIFIERS)
    embeds = torch.randn(1, 5, 32)
    whole.model.layers = whole.model.layers[:2]
    with torch.no_grad():
        theirs = whole.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        ours = backbone.model(inputs_embeds=embeds).last_hidden_state
    torch.testing.assert_close(ours, theirs)


def test_a_backbone_opens_in_plain_transformers(tmp_path, checkpoint):
    backbone = build(LlamaBackbone(source=str(checkpoint[0]), layers=1))
    backbone.model.save_pretrained(tmp_path)
    again = LlamaModel.from_pretrained(tmp_path)
    embeds = torch.randn(1, 4, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            again(inputs_embeds=embeds).last_hidden_state, backbone.model(inputs_embeds=embeds).last_hidden_state
        )


def test_too_many_layers_and_other_architectures_are_refused(tmp_path, checkpoint):
    with pytest.raises(ValueError, match="has 3 layers, cannot take the first 7"):
        build(LlamaBackbone(source=str(checkpoint[0]), layers=7))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="'gpt2'"):
        build(LlamaBackbone(source=str(tmp_path)))


def test_the_tiny_backbone_is_a_function_of_its_seed():
    first, second, other = (build(LlamaTinyBackbone(hidden=16, layers=1, seed=s)).model for s in (0, 0, 1))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.layers[0].mlp.up_proj.weight, other.layers[0].mlp.up_proj.weight)
    with pytest.raises(ValueError, match="10 and 4 heads"):
        build(LlamaTinyBackbone(hidden=10, heads=4))


def test_smollm2_from_the_package():
    from models.weights.packaged import packaged

    try:
        packaged("smollm2")
    except Exception as error:
        pytest.skip(f"the packaged models are not set up: {error}")
    backbone = build(SmolLM2Backbone(layers=1))
    assert backbone.model.config.hidden_size == 576
    assert backbone.model.embed_tokens.weight.std() > 0.05
    assert max(max(rows) for rows in backbone.identifiers.values()) < len(backbone.model.embed_tokens.weight)

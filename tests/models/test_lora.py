"""Low-rank adapters: few weights move, the exported one opens in plain transformers; without peft, a clear word."""

import sys

import pytest
import torch
from transformers import LlamaModel

from models.autoregressive.autoregressive import AutoregressiveModel
from models.backbone.lora import LoraConfig
from models.training.autoregressive import AutoregressiveTraining
from tests.models.test_training_autoregressive import CONFIG, MODEL, film, run

ADAPTED = MODEL.model_copy(update={"lora": LoraConfig(rank=2)})


def test_without_peft_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"lora.rank=2 needs peft.*pip install 'moviedreamer\[lora\]'"):
        AutoregressiveModel.create(ADAPTED)


def test_adapters_learn_beside_still_weights_and_are_merged_on_export(tmp_path):
    pytest.importorskip("peft")
    training = AutoregressiveTraining(CONFIG.model_copy(update={"model": ADAPTED, "learning_rate": 3e-3}), [film()])
    net = training.module
    moving = {name for name, p in net.named_parameters() if p.requires_grad and name.startswith("backbone")}
    assert moving
    assert all("lora_" in name for name in moving)
    packed = training.batch(0).packed
    before = net.eval()(packed).mean.detach()
    still = {
        name: p.clone() for name, p in net.named_parameters() if name not in moving and name.startswith("backbone")
    }
    run(training, range(5))
    assert all(torch.equal(p, still[name]) for name, p in net.named_parameters() if name in still)
    after = net.eval()(packed).mean.detach()
    assert not torch.allclose(before, after)
    training.export(tmp_path)
    assert LlamaModel.from_pretrained(tmp_path / "backbone").layers[0].mlp.up_proj.__class__ is torch.nn.Linear
    again = AutoregressiveModel.from_pretrained(tmp_path)
    torch.testing.assert_close(again(packed).mean, after, atol=1e-4, rtol=1e-4)

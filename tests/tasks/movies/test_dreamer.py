"""The autoregressive model of a storage, as it generates."""

import torch

from models.autoregressive.generate import GenerationConfig, Request, generate
from storage.root import Storage
from tasks.movies.render import dreamer
from tests.models.autoregressive.test_generate import model, scripts


def test_it_dreams_in_the_precision_of_the_settings(tmp_path):
    model().save_pretrained(tmp_path / "model")
    made = {}
    for precision, wanted in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        config = GenerationConfig(precision=precision)
        net = dreamer(config, Storage(str(tmp_path)), "model")
        assert net.backbone.layers[0].mlp.up_proj.weight.dtype == wanted
        (made[precision],) = generate(net, [Request(scripts(3), seed=1)], config)
    torch.testing.assert_close(made["bf16"][0, 0], made["fp32"][0, 0], atol=0.1, rtol=0)
    assert made["bf16"].dtype == torch.float32
    assert not torch.equal(made["bf16"], made["fp32"])

"""The autoregressive model: causality, masking, gradients, saving."""

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention
from transformers import LlamaModel

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.likelihood import held_out_nll, shuffled, unconditional_nll
from models.autoregressive.masks import block_mask
from models.autoregressive.packing import Window, cut, slots
from models.autoregressive.script_tokens import FrameScript, Slot
from models.backbone import LlamaTinyBackbone
from models.head import GmmConfig

L, D, C, F = 2, 6, 10, 8
TINY = AutoregressiveConfig(
    backbone=LlamaTinyBackbone(hidden=32, layers=2),
    tokens=L,
    width=D,
    sentence_width=C,
    face_width=F,
    head=GmmConfig(components=3),
)


def model(**changes) -> AutoregressiveModel:
    return AutoregressiveModel.create(TINY.model_copy(update=changes)).eval()


def window(frames: int, seed: int = 0, references: int = 0) -> Window:
    random = np.random.default_rng(seed)

    def script() -> FrameScript:
        kinds = np.sort(random.integers(0, 3, random.integers(1, 5))).astype(np.int8)
        return FrameScript(
            "x",
            random.standard_normal((len(kinds), C)).astype(np.float32),
            kinds,
            random.standard_normal((random.integers(0, 3), F)).astype(np.float32),
        )

    draw = lambda n: torch.from_numpy(random.standard_normal((n, L, D)).astype(np.float32))  # noqa: E731
    shown = [script() for _ in range(references)]
    return Window([script() for _ in range(frames)], draw(frames), draw(references) if references else None, shown)


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("recall", [True, False])
@pytest.mark.parametrize("references", [0, 2])
def test_every_token_gets_a_distribution(layout, recall, references):
    net = model(layout=layout, recall=recall)
    windows = [window(3, 0, references), window(2, 1)]
    packed = net.pack(windows)
    mixture = net(packed)
    assert mixture.batch_shape == (2, 3, L)
    assert mixture.mean.shape == (2, 3, L, D)
    nll = mixture.nll_per_dimension(packed.targets_BTLD)[packed.valid_BT]
    assert nll.shape == (5, L)
    assert nll.isfinite().all()
    alone = net.pack(windows[1:])
    torch.testing.assert_close(net(alone).mean[0], mixture.mean[1, :2], atol=1e-5, rtol=1e-4)  # padding is unseen


@pytest.mark.parametrize("recall", [True, False])
def test_nothing_later_is_seen(recall):
    net = model(recall=recall)
    before = window(4)
    changed = before.tokens_TLD.clone()
    changed[2, 1] += 5  # token 1 of keyframe 2
    after = Window(before.scripts, changed)
    gap_TL = (net(net.pack([before])).mean - net(net.pack([after])).mean)[0].abs().amax(-1)
    assert gap_TL[:3].max() < 1e-5  # itself included: it is predicted from what stands before it
    assert gap_TL[3].min() > 1e-4


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("recall", [True, False])
def test_the_next_script_changes_nothing_before_it(layout, recall):
    net = model(layout=layout, recall=recall)
    before, other = window(4), window(4, seed=1)
    for t in range(1, 4):
        after = Window([*before.scripts[:t], other.scripts[t], *before.scripts[t + 1 :]], before.tokens_TLD)
        gap_TL = (net(net.pack([before])).mean - net(net.pack([after])).mean)[0].abs().amax(-1)
        assert gap_TL[:t].max() < 1e-5
        assert gap_TL[t].min() > 1e-4


def test_films_that_share_a_row_are_predicted_as_if_alone():
    net = model()
    windows = [window(3, 0, references=2), window(2, 1), window(1, 2), window(4, 3)]
    shared, apart = net.pack(windows, room=300), net.pack(windows)
    assert shared.kinds_PS.shape == (1, 300)
    assert len(apart.kinds_PS) == 4
    with torch.no_grad():
        together, alone = net(shared), net(apart)
    for got, wanted in (
        (together.means, alone.means),
        (together.scales, alone.scales),
        (together.logits, alone.logits),
    ):
        torch.testing.assert_close(got[shared.valid_BT], wanted[apart.valid_BT], atol=1e-5, rtol=0)


def test_the_places_of_each_kind_are_where_it_stands():
    net = model()
    packed = net.pack([window(3, 0, references=2), window(2, 1)], room=300)
    for kind in Slot:
        here_N = torch.zeros(packed.kinds_PS.numel(), dtype=torch.bool)
        here_N[packed.places[kind]] = True
        assert torch.equal(here_N, packed.kinds_PS.flatten() == kind)
    assert (net.embed(packed).flatten(0, 1)[packed.places[Slot.PADDING]] == 0).all()


def test_a_row_takes_as_many_films_as_fit():
    net = model()
    windows = [window(2, seed) for seed in range(4)]
    lengths = [slots(one, net.identifiers, net.config.layout) for one in windows]
    packed = net.pack(windows, room=lengths[0] + lengths[1])
    assert packed.row_B.tolist()[:3] == [0, 0, 1]
    assert packed.kinds_PS.shape[1] <= max(lengths[0] + lengths[1], *lengths)
    for one in windows:
        fitted = cut(one, slots(one, net.identifiers, net.config.layout) - 1, net.identifiers, net.config.layout)
        assert len(fitted.scripts) == len(fitted.tokens_TLD) == 1
    assert cut(windows[0], 3, net.identifiers, net.config.layout) is None


def test_flex_attention_sees_what_the_dense_mask_shows():
    windows_PS = torch.tensor([[0] * 20 + [1] * 25 + [-1] * 5, [2] * 50])
    net = model(attention="flex", masking=0.15).train()
    torch.manual_seed(3)
    dense = net.mask(windows_PS)  # as nothing learns through flex attention on a CPU
    torch.manual_seed(3)
    block = block_mask(windows_PS, torch.rand(windows_PS.shape) < 0.15)
    slots_S = torch.arange(50)
    seen = torch.stack([block.mask_mod(torch.tensor(p), None, slots_S[:, None], slots_S[None, :]) for p in range(2)])
    assert torch.equal(seen, dense[:, 0] == 0)
    assert not seen.all()
    q, k, v = torch.randn(3, 2, 2, 50, 16)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=dense)
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=block), wanted, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("autocast", "gap"), [(False, 1e-5), (True, 0.05)])
def test_the_backbone_takes_either_mask_as_it_comes(autocast, gap):
    net = model(masking=0.0)
    packed = net.pack([window(3, 0, references=2), window(2, 1)], room=150)
    block = block_mask(packed.windows_PS, torch.zeros_like(packed.windows_PS, dtype=torch.bool))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        embeds_PSH, dense = net.embed(packed), net.mask(packed.windows_PS)
        by_blocks, wanted = (net.run(embeds_PSH, mask, packed.positions_PS) for mask in (block, dense))
    torch.testing.assert_close(by_blocks, wanted, atol=gap, rtol=0)


def test_references_and_scripts_change_the_prediction():
    net = model()
    plain, shown = window(2), window(2, references=3)
    with_references = Window(plain.scripts, plain.tokens_TLD, shown.references_RLD)
    first = net(net.pack([plain])).mean[0, 0]
    assert (first - net(net.pack([with_references])).mean[0, 0]).abs().max() > 1e-4
    other = Window(list(shown.scripts), plain.tokens_TLD)
    assert (first - net(net.pack([other])).mean[0, 0]).abs().max() > 1e-4


def test_masking_hides_the_asked_share_but_never_a_slot_from_itself():
    net = model(masking=0.15).train()
    windows_PS = torch.zeros(64, 50, dtype=torch.long)
    torch.manual_seed(0)
    seen = net.mask(windows_PS)[:, 0] == 0
    assert seen.diagonal(dim1=1, dim2=2).all()
    assert not seen.triu(1).any()
    below = torch.ones(50, 50).tril(-1).bool()
    assert float(seen[:, below].float().mean()) == pytest.approx(0.85, abs=0.02)
    later = seen & below
    columns = later[:, 30:, :30]
    assert (columns.all(1) | ~columns.any(1)).all()  # a hidden slot is hidden from all later ones
    assert (net.eval().mask(windows_PS)[:, 0] == 0)[:, below].all()


def test_gradients_reach_everything_that_is_trained_and_nothing_else():
    net = model(dropout=0.0, masking=0.0, noise=0.0, forgetting=0.0).train()
    packed = net.pack([window(4, 0, references=2), window(3, 1)])
    mixture = net(packed)
    (mixture.nll_per_dimension(packed.targets_BTLD) + mixture.mean.square().mean(-1)).mean().backward()
    for name, parameter in net.named_parameters():
        if name == "backbone.embed_tokens.weight":
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_frozen_layers_keep_still():
    net = model(frozen_layers=1)
    trained = {name.split(".")[2] for name, p in net.named_parameters() if "layers" in name and p.requires_grad}
    assert trained == {"1"}
    with pytest.raises(ValueError, match="frozen_layers is 3, the backbone has 2"):
        model(frozen_layers=3)


OFF = {"dropout": 0.0, "masking": 0.0, "noise": 0.0, "forgetting": 0.0}


@pytest.mark.parametrize(
    "switch", [{}, {"dropout": 0.5}, {"masking": 0.15}, {"noise": 0.3}, {"forgetting": 0.5}], ids=str
)
def test_each_guard_against_overfitting_acts_by_itself_and_in_training_only(switch):
    net = model(**OFF | switch)
    packed = net.pack([window(6)])
    with torch.no_grad():
        still = net(packed).mean
        assert torch.equal(net(packed).mean, still)
        net.train()
        assert torch.equal(net(packed).mean, still) == (not switch)


def test_dropout_takes_half_of_what_attention_and_mlp_add():
    net = model(**OFF | {"dropout": 0.5}).train()
    added = []
    layer = net.backbone.layers[0]
    hooks = [part.register_forward_hook(lambda *made: added.append(made[2])) for part in (layer.self_attn, layer.mlp)]
    with torch.no_grad():
        net(net.pack([window(6)]))
    for made in added:
        values = made[0] if isinstance(made, tuple) else made
        assert float((values == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert len(added) == len(hooks)


def test_units_are_the_tokens_own():
    net = model(recall=False)
    before = window(3)
    shift, scale = 7.0, 0.1
    nll = held_out_nll(net, before.scripts, before.tokens_TLD, window=16, keep=8)
    net.token_mean_LD.fill_(shift)
    net.token_std_LD.fill_(scale)
    moved = held_out_nll(net, before.scripts, before.tokens_TLD * scale + shift, window=16, keep=8)
    torch.testing.assert_close(moved, nll + float(np.log(scale)), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("recall", [True, False])
def test_saved_and_loaded_it_is_the_same_model(tmp_path, recall):
    net = model(recall=recall)
    net.standardise_by(torch.randn(20, L, D), window(5).scripts)
    net.save_pretrained(tmp_path)
    again = AutoregressiveModel.from_pretrained(tmp_path)
    packed = net.pack([window(4)])
    assert torch.equal(net(packed).log_prob(packed.targets_BTLD), again(packed).log_prob(packed.targets_BTLD))
    assert again.config == net.config
    assert LlamaModel.from_pretrained(tmp_path / "backbone").config.hidden_size == 32
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        AutoregressiveModel.from_pretrained(tmp_path / "nowhere")


def test_held_out_likelihood_scores_each_keyframe_once_and_overlaps_windows():
    net, run = model(), window(7)
    whole = held_out_nll(net, run.scripts, run.tokens_TLD, window=7, keep=3)
    assert whole.shape == (7,)
    packed = net.pack([run])
    expected = net(packed).nll_per_dimension(packed.targets_BTLD)[0].mean(-1)
    torch.testing.assert_close(whole, expected)
    pieces = held_out_nll(net, run.scripts, run.tokens_TLD, window=4, keep=2)
    torch.testing.assert_close(pieces[:4], whole[:4], atol=1e-5, rtol=1e-4)
    second = Window(run.scripts[2:6], run.tokens_TLD[2:6])
    packed = net.pack([second])
    expected = net(packed).nll_per_dimension(packed.targets_BTLD)[0].mean(-1)
    torch.testing.assert_close(pieces[4:6], expected[2:], atol=1e-5, rtol=1e-4)


def test_shuffling_leaves_no_script_in_its_place():
    scripts = window(9).scripts
    for seed in range(5):
        order = shuffled(scripts, seed)
        assert sorted(map(id, order)) == sorted(map(id, scripts))
        assert all(a is not b for a, b in zip(order, scripts, strict=True))
    with pytest.raises(ValueError, match="cannot shuffle 1"):
        shuffled(scripts[:1], 0)


def test_the_baseline_takes_the_number_of_components_that_suits_the_test_best():
    generator = torch.Generator().manual_seed(0)
    draw = lambda n: (  # noqa: E731
        torch.randint(2, (n, 1, 1), generator=generator) * 6.0 + torch.randn(n, L, D, generator=generator)
    )
    train, test = draw(200), draw(50)
    nll_T, components = unconditional_nll(train, test)
    assert components >= 2
    assert nll_T.shape == (50,)
    assert nll_T.mean() < unconditional_nll(train, test, components=(1,))[0].mean()
    with pytest.raises(ValueError, match="too few"):
        unconditional_nll(train[:0], test)

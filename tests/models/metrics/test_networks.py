"""Networks with tiny or random weights in their original file layouts, against the reference implementations."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from models.metrics import pictures
from models.metrics.aesthetic import AestheticConfig, AestheticHead
from models.metrics.clip import ClipMetricConfig, JointSpace
from models.metrics.inception import Inception, InceptionConfig, graph
from models.metrics.keyframes import measure
from models.metrics.networks import KeyframeMetricsConfig
from models.metrics.speech import Recogniser, SpeechConfig
from models.metrics.style import StyleConfig, StyleTower
from models.weights.checkpoint import CheckpointError

SIDE, PATCH = 28, 14
PLOTS = ["Rose stands at the rail.", "Jack draws by the light of a lamp, " * 20, "It's night."]


def images(*sizes, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """CLIP in transformers' layout: model, processor and tokenizer with CLIP's own vocabulary."""
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder, words = tmp_path_factory.mktemp("clip"), SimpleTokenizer()
    (folder / "vocab.json").write_text(
        json.dumps({{"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(word, word): number
                    for word, number in words.encoder.items()})
    )  # fmt: skip
    merges = sorted(words.bpe_ranks, key=words.bpe_ranks.get)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=77)
    torch.manual_seed(0)
    sizes = {
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "hidden_size": 64,
        "intermediate_size": 64,
    }
    text = {"vocab_size": len(words.encoder), "bos_token_id": 49406, "eos_token_id": 49407}
    vision = {"image_size": SIDE, "patch_size": PATCH}
    CLIPModel(CLIPConfig(text_config=sizes | text, vision_config=sizes | vision, projection_dim=16)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def as_torchmetrics_expects(folder):
    """Model and processor; the features as plain tensors, as transformers gave them before its version 5."""
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(folder)
    images, texts = model.get_image_features, model.get_text_features
    model.get_image_features = lambda pixels: images(pixels).pooler_output
    model.get_text_features = lambda ids, mask: texts(ids, mask).pooler_output
    return model, CLIPProcessor.from_pretrained(folder)


def test_the_clip_score_equals_torchmetrics(clip_folder):
    from torchmetrics.multimodal.clip_score import CLIPScore

    plots = [PLOTS[0], "Jack draws by the light of a lamp.", PLOTS[2]]  # of a long one torchmetrics loses the end token
    given = images((40, 60), (28, 28), (90, 33))
    theirs = CLIPScore(lambda: as_torchmetrics_expects(clip_folder))
    theirs.update([torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in given], plots)
    space = JointSpace(ClipMetricConfig(source=str(clip_folder)))
    ours = pictures.clip_score(space.embed(given), space.read(plots))
    assert ours.value == pytest.approx(float(theirs.score / theirs.n_samples), abs=1e-4)


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory):
    from open_clip.model import CLIP

    torch.manual_seed(0)
    model = CLIP(
        embed_dim=16,
        vision_cfg={"image_size": SIDE, "layers": 1, "width": 64, "patch_size": PATCH, "head_width": 64},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    ).eval()
    file = tmp_path_factory.mktemp("open_clip") / "open_clip_pytorch_model.bin"
    torch.save(model.state_dict(), file)
    return model, file


def test_a_file_of_open_clip_gives_open_clips_vectors(open_clip):
    from open_clip import tokenize

    model, file = open_clip
    space = JointSpace(ClipMetricConfig(source=str(file)))
    with torch.no_grad():
        theirs = model.encode_text(tokenize(PLOTS), normalize=True).numpy()
    np.testing.assert_allclose(space.read(PLOTS), theirs, atol=1e-5)
    assert space.read([]).shape == space.embed([]).shape == (0, 16)


def test_the_aesthetic_score_equals_the_authors_layers(tmp_path):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Linear(768, 1024), nn.Dropout(0.2), nn.Linear(1024, 128), nn.Dropout(0.2), nn.Linear(128, 64),
        nn.Dropout(0.1), nn.Linear(64, 16), nn.Linear(16, 1),
    ).eval()  # fmt: skip
    file = tmp_path / "sac+logos+ava1-l14-linearMSE.pth"
    torch.save({f"layers.{name}": tensor for name, tensor in layers.state_dict().items()}, file)
    vectors = pictures.unit(np.random.default_rng(0).normal(size=(5, 768))).astype(np.float32)
    ours = AestheticHead(AestheticConfig(source=str(file))).score(vectors)
    np.testing.assert_allclose(ours, layers(torch.from_numpy(vectors)).detach().numpy()[:, 0], atol=1e-6)
    single = nn.Linear(768, 1)
    torch.save(single.state_dict(), tmp_path / "sa_0_4_vit_l_14_linear.pth")
    ours = AestheticHead(AestheticConfig(source=str(tmp_path / "sa_0_4_vit_l_14_linear.pth"))).score(vectors)
    np.testing.assert_allclose(ours, single(torch.from_numpy(vectors)).detach().numpy()[:, 0], atol=1e-6)
    with pytest.raises(ValueError, match="vectors have 16 numbers, the aesthetic head takes 768"):
        AestheticHead(AestheticConfig(source=str(file))).score(vectors[:, :16])


def test_style_equals_the_authors_model(open_clip, tmp_path):
    backbone = open_clip[0].visual
    torch.manual_seed(1)
    style, content = torch.randn(64, 16), torch.randn(64, 16)
    state = {f"module.backbone.{name}": t for name, t in backbone.state_dict().items() if name != "proj"}
    state |= {"module.last_layer_style": style, "module.last_layer_content": content}
    torch.save({"model_state_dict": state}, tmp_path / "csd_vit-l.pth")
    given = images((SIDE, SIDE), (SIDE, SIDE))
    ours = StyleTower(StyleConfig(source=str(tmp_path / "csd_vit-l.pth"))).embed(given)
    pixels = torch.from_numpy(np.stack(given)).permute(0, 3, 1, 2) / 255
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    kept = []
    handle = backbone.ln_post.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        backbone((pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None])
    handle.remove()
    pooled = kept[0] if kept[0].ndim == 2 else kept[0][:, 0]
    theirs = torch.nn.functional.normalize(pooled @ style, dim=-1)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """FID's Inception in pytorch-fid's layout, with random weights that keep the size of activations."""
    torch.manual_seed(0)
    network = graph()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
    file = tmp_path_factory.mktemp("inception") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), file)
    return file


def test_the_layers_of_inception_equal_pytorch_fids(inception_file, monkeypatch):
    from pytorch_fid import inception as theirs

    given = images((24, 32))
    weights = torch.load(inception_file, weights_only=True)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: weights)
    reference = theirs.InceptionV3([0, 1, 2, 3]).eval()
    pixels = torch.from_numpy(np.stack(given)).permute(0, 3, 1, 2) / 255
    layers = ("64", "192", "768", "2048", "logits_unbiased")
    ours = Inception(InceptionConfig(source=str(inception_file)), layers).embed(given)
    for layer, expected in zip(layers, reference(pixels), strict=False):
        np.testing.assert_allclose(ours[layer], expected.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(ours["logits_unbiased"], ours["2048"] @ weights["fc.weight"].numpy().T, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "fetch"),
    [
        (lambda source: JointSpace(ClipMetricConfig(source=source)), "openai/clip-vit-large-patch14"),
        (lambda source: Inception(InceptionConfig(source=source)), "pt_inception-2015-12-05"),
        (lambda source: AestheticHead(AestheticConfig(source=source)), "linearMSE.pth"),
        (lambda source: StyleTower(StyleConfig(source=source)), "csd_vit-l.pth"),
    ],
)
def test_missing_or_other_weights_say_what_to_fetch(build, fetch, tmp_path):
    with pytest.raises(CheckpointError, match=rf"Fetch .*{fetch}.*set evaluate\.metrics\.\w+\.source"):
        build(str(tmp_path / "nowhere.pth"))
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"Fetch .*{fetch}.*set evaluate\.metrics\.\w+\.source"):
        build(str(tmp_path / "other.pth"))


def configured(tmp_path, clip):
    gone = str(tmp_path / "nowhere.pth")
    return KeyframeMetricsConfig(
        clip=ClipMetricConfig(source=str(clip)), aesthetic=AestheticConfig(source=gone),
        inception=InceptionConfig(source=gone), style=StyleConfig(source=gone),
    )  # fmt: skip


def test_a_metric_whose_weights_are_missing_is_absent_and_the_others_are_there(open_clip, tmp_path):
    given = images(*[(SIDE, SIDE)] * 3)
    found = measure(configured(tmp_path, open_clip[1]), given, ["a", "a", "b"], PLOTS)
    assert (found["clip_score"].n, found["clip_sim"].n) == (3, 1)
    for name in ("aesthetic_score", "fid", "inception_score", "csd_self"):
        assert found[name].value is None
        assert "Fetch" in found[name].reason


def test_a_keyframe_without_a_plot_and_the_head_of_another_clip_cost_nothing_else(open_clip, tmp_path):
    head = tmp_path / "head.pth"
    torch.save(nn.Linear(768, 1).state_dict(), head)
    config = configured(tmp_path, open_clip[1]).model_copy(update={"aesthetic": AestheticConfig(source=str(head))})
    given = images(*[(SIDE, SIDE)] * 3)
    whole = measure(config, given, ["a"] * 3, PLOTS)["clip_score"]
    found = measure(config, given, ["a"] * 3, [PLOTS[0], "", PLOTS[2]])
    assert (found["clip_score"].n, whole.n) == (2, 3)
    assert found["aesthetic_score"].reason == "vectors have 16 numbers, the aesthetic head takes 768"
    assert measure(config, given, ["a"] * 3)["clip_score"].reason == "no keyframe has a plot"


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_movie_and_one_keyframe_give_reasons(open_clip, tmp_path, count):
    given = images(*[(SIDE, SIDE)] * count)
    found = measure(configured(tmp_path, open_clip[1]), given, ["a"] * count, PLOTS[:count])
    assert found["clip_score"].reason
    assert found["clip_sim"].reason == "no story has two keyframes"
    assert all(figure.value is not None or figure.reason for figure in found.values())
    with pytest.raises(ValueError, match="0 keyframes, and the stories of 1"):
        measure(configured(tmp_path, open_clip[1]), [], ["a"])
    with pytest.raises(ValueError, match=r"RGB \[height, width, 3\] in bytes, got uint8 \[4, 4\]"):
        measure(configured(tmp_path, open_clip[1]), [np.zeros((4, 4), np.uint8)], ["a"])


def test_a_recogniser_hears_words(tmp_path):
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghij"]
    (tmp_path / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"), word_delimiter_token="|")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(tmp_path)
    recogniser = Recogniser(SpeechConfig(source=str(tmp_path)))
    heard = recogniser.hear(np.random.default_rng(0).normal(size=16_000).astype(np.float32))
    assert set(heard) <= set("abcdefghij <>/sunkpd")
    assert recogniser.hear(np.zeros(16_000, np.float32)) == ""
    with pytest.raises(CheckpointError, match=r"Fetch .*whisper-base.*set evaluate\.metrics\.speech\.source"):
        Recogniser(SpeechConfig(source=str(tmp_path / "nowhere.pth")))

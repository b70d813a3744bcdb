"""The autoregressive model: multimodal scripts and earlier keyframes in, distributions of keyframe tokens out.

Section 3.4 and Appendix A: a LLaMA-type backbone; three two-layer MLPs with GELU, which project sentences, faces and
keyframe tokens to its input space; and a head. The output at [END_OF_FRAME] of keyframe t predicts e_{t,1}, the output
at e_{t,l-1} predicts e_{t,l}.

Shapes: P rows of S slots (Q in all), B windows, T keyframes, L tokens per keyframe, D token width, H hidden width.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from models import head
from models.autoregressive.masks import attention, block_mask, dense_mask
from models.autoregressive.packing import Packed, Window, pack
from models.autoregressive.recall import STARTS, TIMELESS, Recall
from models.autoregressive.script_tokens import FrameScript, Layout, Slot
from models.backbone import Backbone, BackboneConfig, SmolLM2Backbone, build
from models.backbone.lora import LoraConfig, adapt, merged
from models.head import GmmConfig, Head, HeadConfig, Prediction
from models.head.head import Recalled
from models.head.mixture import MixtureHead

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


class AutoregressiveConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes and regularisation. The defaults are those of the recipe `laptop`.

    `paper`: backbone LLaMA-2-7B (kind "llama", all 32 layers), a mixture of 16, layout "paper", context of 128
    keyframes (about 5,000 slots), dropout 0.5, masking 0.15, width 64-256 through the autoencoder's bottleneck (at
    2,048 the components' responsibilities saturate), recall off, attention "flex".
    """

    backbone: BackboneConfig = Field(SmolLM2Backbone(), description="language model that training starts from")
    layout: Layout = Field(
        "compact",
        description="paper: a '-' before each sentence, as in the paper; compact: without it, which saves a "
        "quarter of the slots",
    )
    tokens: int = Field(2, ge=1, description="tokens per keyframe")
    width: int = Field(64, ge=1, description="width of a token")
    sentence_width: int = Field(384, ge=1, description="width of a sentence's vector")
    face_width: int = Field(128, ge=1, description="width of a face's embedding")
    head: HeadConfig = Field(GmmConfig(), description="head that predicts a token")
    frozen_layers: int = Field(0, ge=0, description="first layers of the backbone that are not trained")
    lora: LoraConfig | None = Field(None, description="low-rank adapters instead of full training; null: none")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="dropout of inputs, of residual branches and before the head, in training"
    )
    masking: float = Field(0.15, ge=0, lt=1, description="share of input slots that are masked in training")
    noise: float = Field(0.3, ge=0, description="noise on the tokens read in training, in their standard deviations")
    recall: bool = Field(True, description="let the head recall tokens of earlier keyframes with a similar script")
    forgetting: float = Field(0.5, ge=0, le=1, description="share of keyframes that recall nothing in training")
    attention: Literal["dense", "flex"] = Field(
        "dense", description="flex: no dense mask on GPUs; on CPUs the mask is dense in either case"
    )


_TRAINING = ("frozen_layers", "lora", "dropout", "masking", "noise", "forgetting", "attention")
"""Fields of the config that only training uses."""


def _weights(config: AutoregressiveConfig) -> dict[str, Any]:
    """What decides the weights' names and shapes."""
    return config.model_dump(exclude={**dict.fromkeys(_TRAINING, True), "head": {"draws", "steps"}})


class AutoregressiveModel(nn.Module):
    """Standardises the tokens that it reads; predictions are in the tokens' own units."""

    def __init__(self, config: AutoregressiveConfig, backbone: Backbone) -> None:
        super().__init__()
        hidden: int = backbone.model.config.hidden_size
        if config.frozen_layers > len(backbone.model.layers):
            raise ValueError(f"frozen_layers is {config.frozen_layers}, the backbone has {len(backbone.model.layers)}")
        self.config = config
        self.identifiers = dict(backbone.identifiers)
        self.source = {"name": backbone.name, "revision": backbone.revision, "licence": backbone.licence}
        self.backbone = backbone.model
        self.sentence_mlp = _mlp(config.sentence_width, hidden)
        self.face_mlp = _mlp(config.face_width, hidden)
        self.token_mlp = _mlp(config.width, hidden)
        self.markers_2H = nn.Parameter(torch.zeros(2, hidden))
        recalls = head.recalls(config.head) if config.recall else 0
        if config.recall and not recalls:
            raise ValueError(f"head.kind={config.head.kind!r} can't use recalled tokens: set recall=false")
        self.head: Head = head.build(config.head, hidden, config.width, recalls)
        self.recall = Recall(recalls, config.sentence_width, config.face_width) if recalls else None
        self.register_buffer("sentence_mean_C", torch.zeros(config.sentence_width))
        self.register_buffer("face_mean_C", torch.zeros(config.face_width))
        self.register_buffer("token_mean_LD", torch.zeros(config.tokens, config.width))
        self.register_buffer("token_std_LD", torch.ones(config.tokens, config.width))
        self.sentence_mean_C: Tensor
        self.face_mean_C: Tensor
        self.token_mean_LD: Tensor
        self.token_std_LD: Tensor
        self._freeze()
        for layer in self.backbone.layers:
            layer.self_attn.register_forward_hook(self._drop_residual)
            layer.mlp.register_forward_hook(self._drop_residual)

    @classmethod
    def create(cls, config: AutoregressiveConfig, seed: int = 0) -> Self:
        """A model with the pretrained (or random) backbone; all other weights are initialised."""
        model = cls(config, build(config.backbone))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.initialise()
        return model

    def in_bfloat16(self) -> Self:
        """Backbone, MLPs and markers in bfloat16; the head and all statistics of tokens stay in float32."""
        for part in (self.backbone, self.sentence_mlp, self.face_mlp, self.token_mlp):
            part.to(torch.bfloat16)
        self.markers_2H.data = self.markers_2H.data.to(torch.bfloat16)
        return self

    def initialise(self) -> None:
        """Initialises markers, head and MLPs; the MLPs' outputs are as large as the backbone's embeddings."""
        weight = self.backbone.embed_tokens.weight
        scale = 1.0 if weight.is_meta else float(weight.std())
        for mlp in (self.sentence_mlp, self.face_mlp, self.token_mlp):
            first, _, last = cast(tuple[nn.Linear, nn.GELU, nn.Linear], tuple(mlp))
            gain = 1.0 if mlp is self.token_mlp else first.in_features**0.5  # unit-norm vectors have small entries
            nn.init.normal_(first.weight, std=gain / first.in_features**0.5)
            nn.init.zeros_(first.bias)
            nn.init.normal_(last.weight, std=scale / (0.65 * last.in_features**0.5))
            nn.init.zeros_(last.bias)
        nn.init.normal_(self.markers_2H, std=scale)
        if isinstance(self.head, MixtureHead):
            starts = [STARTS[k % len(STARTS)].sigma for k in range(self.head.components)]
            self.head.initialise(starts if self.recall else ())
        else:
            self.head.initialise()

    def standardise_by(self, tokens_NLD: Tensor, scripts: Sequence[FrameScript]) -> None:
        """Stores mean and standard deviation of each channel of the training tokens (including mirrored copies), and
        the mean sentence and face of the training scripts, which are subtracted because all vectors are similar."""
        self.token_mean_LD.copy_(tokens_NLD.mean(0))
        self.token_std_LD.copy_(tokens_NLD.std(0, unbiased=False).clamp_min(1e-3))
        for mean_C, rows in (
            (self.sentence_mean_C, [script.sentences for script in scripts]),
            (self.face_mean_C, [script.faces for script in scripts]),
        ):
            if sum(map(len, rows)):
                mean_C.copy_(torch.from_numpy(np.concatenate(rows)).mean(0))
        if self.recall is not None:
            self.recall.centre_C.copy_(torch.from_numpy(np.stack([script.summary() for script in scripts])).mean(0))

    def pack(self, windows: Sequence[Window], room: int | None = None) -> Packed:
        """The windows as one batch in this model's layout, on its device; see models.autoregressive.packing.pack."""
        return pack(windows, self.identifiers, self.config.layout, room).to(self.markers_2H.device)

    def embed(self, packed: Packed) -> Tensor:
        """Input embeddings_PSH; padding is zero."""
        embeds_PSH = self.markers_2H.new_zeros(*packed.kinds_PS.shape, self.markers_2H.shape[-1])
        embeds_QH, rows_Q = embeds_PSH.flatten(0, 1), packed.rows_PS.flatten()
        made: list[tuple[Slot, Callable[[Tensor], Tensor]]] = [
            (Slot.IDENTIFIER, lambda rows_N: self.backbone.embed_tokens(rows_N)),
            (Slot.MARKER, lambda rows_N: self.markers_2H[rows_N]),
            (Slot.SENTENCE, lambda _: self._project(self.sentence_mlp, packed.sentences_NC - self.sentence_mean_C)),
            (Slot.FACE, lambda _: self._project(self.face_mlp, packed.faces_NC - self.face_mean_C)),
            (Slot.TOKEN, lambda rows_N: self.embed_tokens(packed.tokens_ND, rows_N)),
        ]
        for kind, values in made:
            places_N = packed.places[kind]
            if len(places_N):
                values_NH = values(rows_Q[places_N]).to(embeds_QH.dtype)  # autocast may have changed it
                embeds_QH = embeds_QH.index_copy(0, places_N, values_NH)
        return embeds_QH.view(*packed.kinds_PS.shape, -1)

    def embed_tokens(self, tokens_ND: Tensor, rows_N: Tensor) -> Tensor:
        """Keyframe tokens in the backbone's input space; row n is token `rows_N[n]` modulo L of its keyframe.

        In training noise is added, so that the model learns to continue from inexact tokens.
        """
        place_N = rows_N % self.config.tokens
        z_ND = (tokens_ND - self.token_mean_LD[place_N]) / self.token_std_LD[place_N]
        if self.training and self.config.noise:
            z_ND = z_ND + self.config.noise * torch.randn_like(z_ND)
        return self._project(self.token_mlp, z_ND)

    def run(self, embeds_BQH: Tensor, mask: "Tensor | BlockMask", positions_BQ: Tensor, cache: Any = None) -> Tensor:
        """output_BQH of the backbone, normalised; `mask` is an additive float mask_B1QS or a block mask, `cache` a
        Cache of transformers."""
        self.backbone.set_attn_implementation(attention(mask))
        output = self.backbone(
            inputs_embeds=embeds_BQH,
            attention_mask=mask,
            position_ids=positions_BQ,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        hidden_BQH: Tensor = output.last_hidden_state
        return hidden_BQH

    def predict(self, hidden: Tensor, place: Tensor | int, recalled: Recalled | None = None) -> Prediction:
        """The distribution of token `place` (0 to L-1) of a keyframe, in the tokens' own units.

        Args:
            recalled: means and logits for the head, of the same batch shape as `hidden`.
        """
        made: Prediction = self.head(self._drop(hidden), recalled)
        return made.affine(self.token_mean_LD[place], self.token_std_LD[place])

    def recalled(self, packed: Packed) -> Recalled | None:
        """(means_BTLKD, logits_BT1K) recalled from the earlier keyframes of each window and its references.

        In training noise is added to the recalled tokens, and a keyframe recalls nothing with probability `forgetting`.
        """
        if self.recall is None:
            return None
        place_T = torch.arange(packed.targets_BTLD.shape[1], device=packed.valid_BT.device)
        ages_BTT = (place_T[:, None] - place_T).masked_fill(~packed.valid_BT[:, None, :], 0)
        ages_BTR = (TIMELESS * packed.known_BR.long())[:, None].expand(-1, len(place_T), -1)
        ages_BTJ = torch.cat([ages_BTT, ages_BTR], 2)
        z_BJLD = torch.cat([packed.targets_BTLD, packed.references_BRLD], 1) - self.token_mean_LD
        z_BJLD = z_BJLD / self.token_std_LD
        if self.training:
            z_BJLD = z_BJLD + self.config.noise * torch.randn_like(z_BJLD)
            forgotten_BT = torch.rand(ages_BTJ.shape[:2], device=z_BJLD.device) < self.config.forgetting
            ages_BTJ = ages_BTJ.masked_fill(forgotten_BT[..., None], 0)
        others_BJC = torch.cat([packed.summaries_BTC, packed.reference_summaries_BRC], 1)
        means_BTLKD, logits_BTK = self.recall(packed.summaries_BTC, others_BJC, z_BJLD, ages_BTJ)
        return means_BTLKD, logits_BTK.unsqueeze(2)

    def forward(self, packed: Packed) -> Prediction:
        """The distribution of each keyframe token, given everything before it in its window: batch shape (B, T, L)."""
        mask = self.mask(packed.windows_PS)
        hidden_PSH = self.run(self.embed(packed), mask, packed.positions_PS)
        places_L = torch.arange(self.config.tokens, device=hidden_PSH.device)
        hidden_BTLH = hidden_PSH[packed.row_B[:, None, None], packed.predict_BTL]
        return self.predict(hidden_BTLH, places_L, self.recalled(packed))

    def mask(self, windows_PS: Tensor) -> "Tensor | BlockMask":
        """The attention mask: each slot sees itself and the earlier slots of its window.

        In training each slot is hidden from all later ones with probability `masking`.
        """
        hidden_PS = torch.zeros_like(windows_PS, dtype=torch.bool)
        if self.training and self.config.masking:
            hidden_PS = torch.rand(windows_PS.shape, device=windows_PS.device) < self.config.masking
        rule = block_mask if self.config.attention == "flex" and windows_PS.is_cuda else dense_mask
        return rule(windows_PS, hidden_PS)

    def save_pretrained(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Writes `backbone/`, which plain transformers opens (LlamaModel), model.safetensors and config.json."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        backbone = self.backbone if self.config.lora is None else merged(self.backbone)
        state = {name: t.to(dtype).contiguous() for name, t in backbone.state_dict().items()}
        backbone.save_pretrained(folder / "backbone", state_dict=state)
        own = {name: t for name, t in self.state_dict().items() if not name.startswith("backbone.")}
        rest = {name: t.to(dtype).contiguous() for name, t in own.items()}
        save_file(rest, folder / "model.safetensors")
        about = {"config": self.config.model_dump(mode="json"), "identifiers": self.identifiers, "source": self.source}
        (folder / "config.json").write_text(json.dumps(about, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: Path, config: AutoregressiveConfig | None = None) -> Self:
        """The model of a folder that `save_pretrained` wrote, in 32 bits.

        Args:
            config: for further training; may differ from the folder's only in fields that only training uses.

        Raises:
            ValueError: the folder has no such model, or `config` describes another one.
        """
        from safetensors.torch import load_file
        from transformers import LlamaModel

        if not (folder / "config.json").is_file():
            raise ValueError(f"no autoregressive model in {str(folder)!r}: config.json is missing; train one first")
        about: Mapping[str, Any] = json.loads((folder / "config.json").read_text())
        backbone = LlamaModel.from_pretrained(folder / "backbone", dtype=torch.float32, attn_implementation="sdpa")
        identifiers = {text: tuple(rows) for text, rows in about["identifiers"].items()}
        kept = AutoregressiveConfig(**about["config"])
        if config is not None:
            if _weights(kept) != _weights(config):
                raise ValueError(f"{str(folder)!r} holds an autoregressive model of another config: {kept!r}")
            kept = config
        model = cls(kept, Backbone(backbone, identifiers, **about["source"]))
        state = load_file(folder / "model.safetensors")
        missing, unexpected = model.load_state_dict(state, strict=False)
        lost = [name for name in missing if not name.startswith("backbone.")]
        if lost or unexpected:
            raise ValueError(f"{str(folder)!r} does not fit its config: missing {lost}, unexpected {unexpected}")
        return model.eval()

    def _freeze(self) -> None:
        if self.config.lora is not None:
            adapt(self.backbone, self.config.lora)
        self.backbone.embed_tokens.requires_grad_(False)
        for layer in self.backbone.layers[: self.config.frozen_layers]:
            layer.requires_grad_(False)

    def _project(self, mlp: nn.Sequential, x: Tensor) -> Tensor:
        projected: Tensor = mlp(x.to(self.markers_2H.dtype))
        return self._drop(projected)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)

    def _drop_residual(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        """Dropout of what attention and MLP add to the residual stream; LLaMA itself has no dropout."""
        if isinstance(output, tuple):
            return (self._drop(output[0]), *output[1:])
        return self._drop(output)


def _mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))

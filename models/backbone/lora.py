"""Low-rank adapters on a backbone's linear layers, through peft (pip install 'moviedreamer[lora]').

Then only the adapters and the layers outside the backbone are trained. For the export the adapters are merged into the
weights, so that plain transformers can load it.
"""

from copy import deepcopy
from typing import Any

from pydantic import BaseModel, Field


class LoraConfig(BaseModel, frozen=True, extra="forbid"):
    """The product of two small matrices, added to each linear layer of attention and MLP."""

    rank: int = Field(16, ge=1, description="rank of the two matrices")
    scale: float = Field(2.0, gt=0, description="factor of their product")


def adapt(model: Any, config: LoraConfig) -> None:
    """Adds adapters, which have no effect before training, to a LlamaModel and freezes everything else in it.

    Raises:
        ValueError: peft is not installed.
    """
    try:
        from peft import LoraConfig as Settings
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise ValueError(
            f"lora.rank={config.rank} needs peft, which is not installed: pip install 'moviedreamer[lora]', or leave "
            "autoregressive.model.lora at null"
        ) from error
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    alpha = config.scale * config.rank
    inject_adapter_in_model(Settings(r=config.rank, lora_alpha=alpha, target_modules=layers), model)


def merged(model: Any) -> Any:
    """A copy of the original class with the adapters merged into the weights."""
    from peft.tuners.lora import LoraLayer

    plain = deepcopy(model)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(plain.get_submodule(parent), child, layer.get_base_layer())
    return plain

"""Bytes and operations of code that runs for shapes alone.

`Ledger` is torch's fake tensors, which have shapes, types and lifetimes but no memory, with a count of what lives. What
runs in it takes the same tensors as on a device: autograd keeps what it would keep, autocast copies what it would copy.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

_AFRESH = (torch.ops.prim.device.default,)  # asked at every turn, and makes no tensor


class Ledger(FakeTensorMode):  # type: ignore[no-untyped-call]
    """Fake tensors whose storages are counted: `live` and `peak` bytes, and `flops`, operations of multiplications."""

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        # it keeps weak references to all that is made, and they would forbid module.to(...)
        setattr(self.fake_tensor_converter, "set_tensor_memo", lambda _real, _fake: None)  # noqa: B010
        self.live, self.peak, self.flops = 0, 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = super().__torch_dispatch__(func, types, args, kwargs)
        if func not in _AFRESH:
            for tensor in tree_leaves(made):
                if isinstance(tensor, Tensor):
                    self._count(tensor)
            if operations := _FLOPS.get(getattr(func, "_overloadpacket", None)):
                self.flops += operations(*args, **(kwargs or {}), out_val=made)
        return made

    def faked(self, nest: Any) -> Any:
        """A nest of tensors as fake ones of this ledger, on the CPU."""
        return tree_map_only(Tensor, lambda tensor: torch.empty_like(tensor, device="cpu"), nest)

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key not in self._known:
            size = storage.nbytes()
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


class GpuAutocast(TorchFunctionMode):
    """What autocast of GPUs does beyond that of CPUs: norms read copies in 32 bits, which the backward pass keeps."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.layer_norm, F.group_norm) and torch.is_autocast_enabled("cpu"):
            args = (args[0].float(), *args[1:])
        return func(*args, **(kwargs or {}))


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    counted: int = sdpa_flop_count(query.shape, key.shape, value.shape)  # type: ignore[no-untyped-call]
    return counted


def _attention_backward(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    counted: int = sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape)  # type: ignore[no-untyped-call]
    return counted


_FLOPS: Mapping[Any, Callable[..., int]] = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}

"""Reads networks in ncnn's format into torch: a text with the layers (.param), and their weights (.bin).

Only the layers of picture networks such as Real-ESRGAN's are supported; any other layer is an error.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

MAGIC = "7767517"
_TAGS: Mapping[int, type[np.generic]] = {0x01306B47: np.float16, 0: np.float32}  # the word before a kernel's weights
_ARRAY = -23300  # the key -23300 - n gives option n as an array: its length, then its numbers

Options = Mapping[int, str]


@dataclass(frozen=True)
class _Layer:
    """Reads the blobs `inputs` and writes the same tensor to all blobs `outputs`."""

    apply: Callable[..., Tensor]
    inputs: Sequence[str]
    outputs: Sequence[str]


class NcnnNetwork(nn.Module):
    """A network with one input [B, C, H, W] and one output.

    Args:
        param: text of the .param file.
        weights: bytes of the .bin file.

    Raises:
        ValueError: another format, an unsupported layer, or weights of another network.
    """

    def __init__(self, param: str, weights: bytes) -> None:
        super().__init__()
        first, _, *lines = [*param.splitlines(), "", ""]
        if first.strip() != MAGIC:
            raise ValueError(f"an ncnn .param file starts with {MAGIC}, this one with {first[:40]!r}")
        numbers, self._layers = _Numbers(weights), list[_Layer]()
        for line in filter(str.strip, lines):
            kind, name, *rest = line.split()
            inputs, both = int(rest[0]), int(rest[0]) + int(rest[1])
            blobs, options = rest[2 : 2 + both], _options(rest[2 + both :])
            self._layers.append(_Layer(_operation(kind, name, options, numbers), blobs[:inputs], blobs[inputs:]))
        if numbers.left:
            raise ValueError(f"the .bin file has {numbers.left} bytes more than the layers of the .param file take")
        self.weighted = nn.ModuleList(one.apply for one in self._layers if isinstance(one.apply, nn.Module))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        start, *layers = self._layers
        made, blobs = images_BCHW, {start.outputs[0]: images_BCHW}
        for layer in layers:
            made = layer.apply(*map(blobs.pop, layer.inputs))  # a blob has one reader: Split makes copies for more
            blobs |= dict.fromkeys(layer.outputs, made)
        return made


class _Numbers:
    """Reads the .bin file in the order of the layers."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def array(self, count: int, dtype: type[np.generic] = np.float32) -> Tensor:
        """float32 [count]; stored arrays are padded to four bytes."""
        size = -(-count * np.dtype(dtype).itemsize // 4) * 4
        return torch.from_numpy(np.frombuffer(self._take(size), dtype, count).astype(np.float32))

    def kernel(self, count: int) -> Tensor:
        """The same for weights with a tag of their format in front."""
        tag = int.from_bytes(self._take(4), "little")
        if tag not in _TAGS:
            raise ValueError(f"weights are stored as {tag:#010x}: only floats of 16 and 32 bits can be read")
        return self.array(count, _TAGS[tag])

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError(f"the .bin file ends early: {size} bytes are wanted, {self.left} are left")
        self._at += size
        return self._data[self._at - size : self._at]


def _options(words: Sequence[str]) -> Options:
    """`0=64 1=3 -23310=1,0.2` -> {0: "64", 1: "3", 10: "0.2"}."""
    pairs = [(int(key), value) for key, _, value in (word.partition("=") for word in words)]
    return dict((_ARRAY - key, value.partition(",")[2]) if key <= _ARRAY else (key, value) for key, value in pairs)


def _operation(kind: str, name: str, options: Options, numbers: _Numbers) -> Callable[..., Tensor]:
    match kind:
        case "Input" | "Split" if not options:
            return lambda blob: blob
        case "Concat" if not options:
            return lambda *blobs: torch.cat(blobs, dim=1)
        case "BinaryOp" if not options:
            return operator.add
        case "Eltwise" if options.keys() == {0, 1} and options[0] == "1":
            factors = [float(factor) for factor in options[1].split(",")]
            return lambda *blobs: sum((f * blob for f, blob in zip(factors, blobs, strict=True)), torch.zeros(()))
        case "Interp" if options.keys() == {0, 1, 2} and options[0] == "1":
            return nn.Upsample(scale_factor=(float(options[1]), float(options[2])), mode="nearest")
        case "PixelShuffle" if options.keys() == {0}:
            return nn.PixelShuffle(int(options[0]))
        case "PReLU" if options.keys() == {0}:
            prelu = nn.PReLU(int(options[0]))
            prelu.weight = nn.Parameter(numbers.array(int(options[0])))
            return prelu
        case "Convolution" if options.keys() in ({0, 1, 4, 5, 6}, {0, 1, 4, 5, 6, 9, 10}) and options[5] == "1":
            return _convolution(options, numbers)
    raise ValueError(f"the layer {name!r} can't be read: {kind} with the options {dict(options)}")


def _convolution(options: Options, numbers: _Numbers) -> nn.Module:
    """Square kernels of stride 1 with a bias; option 9=2 is a leaky ReLU of the slope in option 10."""
    outputs, size, padding, count = (int(options[key]) for key in (0, 1, 4, 6))
    convolution = nn.Conv2d(count // (outputs * size**2), outputs, size, padding=padding)
    convolution.weight = nn.Parameter(numbers.kernel(count).reshape(convolution.weight.shape))
    convolution.bias = nn.Parameter(numbers.array(outputs))
    if 9 not in options:
        return convolution
    if options[9] != "2":
        raise ValueError(f"a convolution with activation {options[9]} can't be read: only 2 (leaky ReLU) is known")
    return nn.Sequential(convolution, nn.LeakyReLU(float(options[10])))

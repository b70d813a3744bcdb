"""Aspect ratio buckets: batches of one shape from pictures of many shapes.

Shapes: F pictures, B of a batch.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from models.training import generator


class Buckets:
    """Assigns each picture to the size with the nearest aspect ratio.

    Args:
        shapes: height and width of each of F pictures; not needed for a single size.
        sizes: heights and widths of the batches.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]]) -> None:
        if not sizes or (len(sizes) > 1 and not shapes):
            raise ValueError(f"buckets need sizes, and the pictures' shapes, got {len(sizes)} and {len(shapes)}")
        ratios = torch.tensor([math.log(height / width) for height, width in sizes])
        own_F = torch.tensor([math.log(height / width) for height, width in shapes])
        self.sizes = list(sizes)
        self.bucket_F = (own_F[:, None] - ratios[None]).abs().argmin(1)
        self._dealt: tuple[tuple[int, int, int], Tensor] | None = None

    def rows_of_step(self, batch: int, seed: int, step: int, rank: int, world: int) -> Tensor:
        """The pictures of a worker's step, all of one bucket.

        Each epoch has each picture once; if `batch` doesn't divide a bucket, its last batch is filled from its start.
        """
        per_epoch = sum(-(-int(count) // batch) for count in self.bucket_F.bincount() if count)
        epoch, place = divmod(step * world + rank, per_epoch)
        if self._dealt is None or self._dealt[0] != (batch, seed, epoch):
            self._dealt = (batch, seed, epoch), self._deal(batch, seed, epoch)
        return self._dealt[1][place]

    def batches(self, rows_F: Tensor, most: int) -> list[Tensor]:
        """These pictures, bucket by bucket, in batches of at most `most`."""
        if len(self.sizes) == 1:
            return list(torch.split(rows_F, most))
        of_each = [rows_F[self.bucket_F[rows_F] == bucket] for bucket in range(len(self.sizes))]
        return [rows_B for rows in of_each if len(rows) for rows_B in torch.split(rows, most)]

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of a picture's bucket."""
        return self.sizes[int(self.bucket_F[row])] if len(self.sizes) > 1 else self.sizes[0]

    def _deal(self, batch: int, seed: int, epoch: int) -> Tensor:
        """All batches of an epoch, shuffled."""
        random, batches = generator(seed, epoch, 0xB0C), []
        for bucket in range(len(self.sizes)):
            rows = (self.bucket_F == bucket).nonzero()[:, 0]
            if not len(rows):
                continue
            rows = rows[torch.randperm(len(rows), generator=random)]
            wanted = -(-len(rows) // batch) * batch
            batches.append(rows.repeat(-(-wanted // len(rows)))[:wanted].view(-1, batch))
        dealt = torch.cat(batches)
        return dealt[torch.randperm(len(dealt), generator=random)]

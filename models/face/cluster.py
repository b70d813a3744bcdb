"""Clusters a film's faces by character: Chinese whispers (Biemann 2006) on distances of embeddings.

Metric and threshold depend on the embedder: see `clustering` of its config. dlib's own `chinese_whispers_clustering`
gives all pairs below the threshold the same weight, which joins different people in drawn films; it has no cosine
distance, keeps all pairs in memory and takes 20 times as long.

Shapes: N faces, M some of them, E numbers per embedding.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

ROUNDS = 50  # labels usually converge after five
BLOCK = 256  # faces per block of distances


class ClusteringConfig(BaseModel, frozen=True, extra="forbid"):
    """When two faces count as the same person's."""

    metric: Literal["euclidean", "cosine"] = Field(
        description="distance between embeddings; cosine: 1 minus the cosine"
    )
    threshold: float = Field(gt=0, description="distance below which two faces count as one person's")


def chinese_whispers(embeddings_NE: NDArray[np.float32], config: ClusteringConfig, seed: int = 0) -> NDArray[np.int32]:
    """Labels [N]: 0 for the most frequent character, 1 for the next, ...; -1 for a face without a similar one.

    Two faces are neighbours if their distance is below the threshold. In each round every face takes the label with
    the greatest weight among its neighbours, in an order drawn from `seed`. Ties go to the lower label, so the same
    faces in the same order give the same characters. Distances are recomputed in each round, a block of faces at a
    time, so memory grows linearly with the number of faces.
    """
    points_NE = _points(embeddings_NE, config)
    count = len(points_NE)
    labels_N = np.arange(count)
    draw = np.random.default_rng(seed)
    for _ in range(ROUNDS):
        before_N = labels_N.copy()
        order_N = draw.permutation(count)
        for start in range(0, count, BLOCK):
            some_M = order_N[start : start + BLOCK]
            weight_MN = np.maximum(0.0, config.threshold - distances(points_NE[some_M], points_NE, config))
            for i, weight_N in zip(some_M, weight_MN, strict=True):
                weight_N[i] = 0.0
                beside = np.flatnonzero(weight_N)
                if len(beside):
                    labels_N[i] = np.bincount(labels_N[beside], weights=weight_N[beside]).argmax()
        if (labels_N == before_N).all():
            break
    return _by_size(labels_N) if count else np.zeros(0, np.int32)


def distances(
    some_ME: NDArray[np.float32], others_NE: NDArray[np.float32], config: ClusteringConfig
) -> NDArray[np.float64]:
    """[M, N] in the embedder's metric; for cosines the embeddings may have any length."""
    if config.metric == "cosine":
        some_ME, others_NE = _unit(some_ME), _unit(others_NE)
    products_MN = (some_ME @ others_NE.T).astype(np.float64)
    if config.metric == "cosine":
        return 1.0 - products_MN
    squares_M, squares_N = ((points.astype(np.float64) ** 2).sum(1) for points in (some_ME, others_NE))
    apart_MN: NDArray[np.float64] = np.sqrt(np.maximum(squares_M[:, None] + squares_N - 2 * products_MN, 0.0))
    return apart_MN


def _points(embeddings_NE: NDArray[np.float32], config: ClusteringConfig) -> NDArray[np.float32]:
    if embeddings_NE.ndim != 2:
        raise ValueError(f"embeddings are [faces, numbers], got {list(embeddings_NE.shape)}")
    if not np.isfinite(embeddings_NE).all():
        raise ValueError("embeddings hold NaN or infinity: embed those faces again or leave them out")
    return _unit(embeddings_NE) if config.metric == "cosine" else embeddings_NE


def _unit(points_NE: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths_N1 = np.maximum(np.linalg.norm(points_NE, axis=1, keepdims=True), 1e-12)
    unit_NE: NDArray[np.float32] = (points_NE / lengths_N1).astype(np.float32)
    return unit_NE


def _by_size(labels_N: NDArray[np.int64]) -> NDArray[np.int32]:
    names, first, where_N, sizes = np.unique(labels_N, return_index=True, return_inverse=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda k: (-sizes[k], first[k]))
    renamed = np.empty(len(names), np.int32)
    for new, old in enumerate(order):
        renamed[old] = new if sizes[old] > 1 else -1
    return renamed[where_N]

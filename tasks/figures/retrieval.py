"""How near rebuilt keyframes are to their originals: retrieval and PSNR, as pure functions of arrays.

N originals, Q queries, C channels or pixels, T keyframes in order of time.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


_BLOCK = 128  # queries, and originals, that are compared at a time


def retrieved(queries_QC: Floats | Bytes, originals_NC: Floats | Bytes, own_Q: Ints) -> tuple[Ints, Ints]:
    """`ranks` and `steps_to_nearest` of queries, for which few rows of all their distances are in memory at a time."""
    ranks_Q, steps_Q = np.empty_like(own_Q), np.empty_like(own_Q)
    for start in range(0, len(own_Q), _BLOCK):
        part = slice(start, start + _BLOCK)
        distances_QN = squared_distances(queries_QC[part], originals_NC)
        ranks_Q[part], steps_Q[part] = ranks(distances_QN, own_Q[part]), steps_to_nearest(distances_QN, own_Q[part])
    return ranks_Q, steps_Q


def squared_distances(queries_QC: Floats | Bytes, originals_NC: Floats | Bytes) -> Floats:
    """[Q, N] mean squared difference of every query to every original; bytes are taken as numbers in 0-1.

    As q^2 + o^2 - 2qo in 64 bits, in which it is exact for bytes; the result has 32.
    """
    if queries_QC.shape[1] != originals_NC.shape[1]:
        raise ValueError(f"queries have {queries_QC.shape[1]} values each, originals {originals_NC.shape[1]}")
    full = 255.0 if queries_QC.dtype == np.uint8 else 1.0
    wide_QC, distances_QN = queries_QC.astype(np.float64), np.empty((len(queries_QC), len(originals_NC)), np.float32)
    for start in range(0, len(originals_NC), _BLOCK):
        some_NC = originals_NC[start : start + _BLOCK].astype(np.float64)
        both_QN = np.einsum("qc,qc->q", wide_QC, wide_QC)[:, None] + np.einsum("nc,nc->n", some_NC, some_NC)
        sums_QN = np.maximum(both_QN - 2 * wide_QC @ some_NC.T, 0)
        distances_QN[:, start : start + _BLOCK] = sums_QN / (full**2 * queries_QC.shape[1])
    return distances_QN


def ranks(distances_QN: Floats, own_Q: Ints) -> Ints:
    """[Q] how many originals lie nearer to a query than its own; 0 is top-1. A tie counts against the query."""
    own_distance_Q = distances_QN[np.arange(len(own_Q)), own_Q]
    nearer_Q: Ints = (distances_QN <= own_distance_Q[:, None]).sum(axis=1) - 1
    return nearer_Q


def steps_to_nearest(distances_QN: Floats, own_Q: Ints) -> Ints:
    """[Q] places between a query's own original and the nearest one, originals being sorted by film and time."""
    apart_Q: Ints = np.abs(distances_QN.argmin(axis=1) - own_Q)
    return apart_Q


def psnr(images_TP: Floats | Bytes, others_TP: Floats | Bytes) -> Floats:
    """[T] peak signal-to-noise ratio in dB of pixels in 0-1, or bytes; 100 where two images are equal."""
    pairs = zip(images_TP, others_TP, strict=True)
    error_T = np.array([np.square(_numbers(image_P) - _numbers(other_P)).mean() for image_P, other_P in pairs])
    decibels_T: Floats = -10 * np.log10(np.maximum(error_T, 1e-10))
    return decibels_T


def _numbers(values: Floats | Bytes) -> Floats:
    return values.astype(np.float32) / np.float32(255 if values.dtype == np.uint8 else 1)

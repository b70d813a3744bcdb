"""From high dynamic range (BT.2020 with PQ or HLG) to what an ordinary screen shows.

PQ is SMPTE ST 2084, HLG is ARIB STD-B67, both in ITU-R BT.2100; highlights bend as in BT.2390, section 5.4.
"""

from functools import cache

import numpy as np

PQ, HLG = 16, 18  # FFmpeg's AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67

_PEAK = 1000.0  # candela a square metre, of the screen that films are graded on
_WHITE = 203.0  # of paper in such films (ITU-R BT.2408): what SDR's white becomes
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def to_sdr(image: np.ndarray, transfer: int) -> np.ndarray:
    """uint8 [H, W, 3] for an ordinary screen of uint16 [H, W, 3], red, green and blue of BT.2020 in PQ or HLG."""
    light = _linear(transfer)[image]  # candela a square metre
    if transfer == HLG:
        scene = light / _PEAK
        luminance = scene @ np.array([0.2627, 0.678, 0.0593], np.float32)
        light = _PEAK * scene * np.maximum(luminance, 1e-6)[..., None] ** np.float32(0.2)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-4)
    light = light * (_bent(brightest) / brightest) / _WHITE  # the same hue, less of it
    return (255 * _signal(np.clip(light @ _TO_BT709.T, 0, 1)) + 0.5).astype(np.uint8)


@cache
def _linear(transfer: int) -> np.ndarray:
    """float32 [65536]: light of each level; of the scene for HLG, times the peak."""
    signal = np.linspace(0, 1, 65536)
    if transfer == PQ:
        return _pq_light(signal).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return (_PEAK * np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)).astype(np.float32)


def _pq_light(signal: np.ndarray) -> np.ndarray:
    power = signal ** (1 / _M2)
    return 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _pq_signal(light: np.ndarray | float) -> np.ndarray:
    power = np.asarray(light / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _bent(light: np.ndarray) -> np.ndarray:
    """Light up to the peak, brought below white by a curve that leaves the dark and middle tones as they are."""
    peak = _pq_signal(_PEAK)
    level, most = np.minimum(_pq_signal(light) / peak, 1), _pq_signal(_WHITE) / peak
    knee = 1.5 * most - 0.5
    t = np.clip((level - knee) / (1 - knee), 0, 1)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return _pq_light(np.where(level < knee, level, curve) * peak).astype(np.float32)


def _signal(light: np.ndarray) -> np.ndarray:
    """What an sRGB screen wants for light of 0-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)

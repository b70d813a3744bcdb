"""Metrics by which systems are compared: definitions as pure functions of arrays, and the networks behind the arrays.

| file | metrics |
|---|---|
| `pictures.py` | Inception Score, FID, CLIP score, CLIP-sim, aesthetic score, CSD |
| `characters.py` | OCCM, CIDS, copy-paste |
| `consistency.py` | ST, LT, drift |
| `sound.py` | sound against picture, loudness against target |
| `figure.py` | what all return: a value, its interval, n, and the reason where there is none |
| `keyframes.py` | all metrics of keyframes in one call |
| `networks.py` | the networks that look at pictures and listen to videos, and their settings |
| `clip.py`, `inception.py`, `aesthetic.py`, `style.py` | networks, with weights from local files |

docs/metrics.md defines each. Adding one = a function in one of these files that returns a Figure, and a row there.
"""

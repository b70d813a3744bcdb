"""Metrics for comparing systems: definitions as pure functions of arrays, and the networks that make the arrays.

| file | metrics |
|---|---|
| `pictures.py` | Inception Score, FID, CLIP score, CLIP-sim, aesthetic score, CSD |
| `characters.py` | OCCM, CIDS, copy-paste |
| `consistency.py` | ST, LT, drift |
| `sound.py` | sound against picture, loudness against target |
| `figure.py` | the result of all metrics: a value, its interval, n, and the reason if there is none |
| `keyframes.py` | all metrics of keyframes in one call |
| `networks.py` | the networks that embed pictures and sound, and their settings |
| `clip.py`, `inception.py`, `aesthetic.py`, `style.py` | networks, with weights from local files |

docs/metrics.md defines each. To add one, write a function that returns a Figure in one of these files, and a row there.
"""

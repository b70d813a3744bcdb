"""Which metric to trust? Metrics beside an oracle on drawn films, and beside a person's eye.

    python benchmarks/trust.py [--storage out-paper] [--seeds 3]
    python benchmarks/trust.py --drawn            LT by recognised faces beside LT by the oracle; needs no models
    python benchmarks/trust.py --sheet FOLDER     20 pairs to be judged blind (pairs.webp), and the key to them
    python benchmarks/trust.py --judged FOLDER    with the judgement in FOLDER/judged.txt: "7 A", or "8 =" for alike

On what `benchmarks/paper.py` has drawn in that storage. The oracle knows which share of a keyframe's facts is right:
its place, how many people there are, and each of them. Spearman's rank correlation of that share and a metric, over
the keyframes of all dreamt variants, says how far the metric can be trusted; its 95 % interval is from resampled
stories. Faces are looked for in two variants of one seed. A pair is a keyframe as two variants dream it, side by side
in random order, beside the original.

`--drawn` takes 60 keyframes of four evaluation films as they are, with everybody exchanged, and blurred by 4 and by 8
pixels; of the people whose faces are at least 32 pixels high, oracle and recognised faces say which share is there. Its
baseline is the same with the oracle's verdicts of other keyframes of the film.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from oracle import Oracle
from paper import FILMS, LESS
from paper import METRICS as WORDS
from paper_runs import VARIANTS, Runs, Samples, facts
from scipy.stats import bootstrap, spearmanr

from drawn.film import truth
from drawn.script import write
from drawn.stage import Stage
from drawn.truth import Truth
from drawn.worlds import HELD_OUT
from flows.settings.recipes import resolve
from models.face import FaceEmbedder, build
from models.upscaler import lanczos

FACTS = ("place", "people", "lt")
METRICS = ("similarity", "psnr", "nll")
DREAMT = [name for name, one in VARIANTS.items() if one.draws in ("dreamt", "few_shot")]
PAIRED = ("ours", "noC")
PAIRS = 20
DRAWN_FILMS, DRAWN = 4, 15  # films, and keyframes of each
LARGE = (896, 512)
FACE = 32  # pixels, the least height of a face
VERSIONS = ("original", "exchanged", "blurred 4", "blurred 8")
Values = Mapping[str, float]
"""keyframe, as "story/second" -> value."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", default="out-paper")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--drawn", action="store_true")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER")
    parser.add_argument("--judged", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    if args.drawn:
        drawn()
        return
    runs = Runs(args.storage, FILMS)
    if args.sheet:
        sheet(runs, args.sheet)
    elif args.judged:
        judged(runs, args.judged)
    else:
        trusted(runs, args.seeds)


def trusted(runs: Runs, seeds: int) -> None:
    """Prints how well each metric follows the oracle."""
    found = [runs.samples(name, seed) for seed in range(seeds) for name in DREAMT]
    for metric in METRICS:
        told(metric, [(right(one), one[metric]) for one in found if one.get(metric)])
    told("faces", [(right(runs.samples(name, 0)), faces(runs, name)) for name in PAIRED])


def drawn() -> None:
    """Prints how LT by recognised faces follows LT by the oracle, where it is known who was drawn."""
    settings = resolve("laptop")
    embedder, same_face = build(settings.face), settings.evaluate.same_face
    exact, recognised = dict[str, float](), dict[str, float]()
    for seed in HELD_OUT[:DRAWN_FILMS]:
        film = truth(seed, size=LARGE)
        oracle, known = Oracle(film), _references(film, embedder)
        large = [(one, [a.character for a in one.appearances if a.face_pixels >= FACE]) for one in film.timeline]
        asked = [(one, seen) for one, people in large if (seen := [name for name in people if name in known])]
        for second, people in asked[:: max(1, len(asked) // DRAWN)][:DRAWN]:
            for version, picture in _versions(film, second.second).items():
                name = f"seed-{seed}/{second.second} {version}"
                there = facts(oracle, second, picture)["lt"]
                exact[name] = float(np.mean([there[who] for who in people]))
                faces = [one.embedding for one in embedder.faces([picture])[0] if one.embedding is not None]
                near = [any(np.linalg.norm(face - known[who]) < same_face for face in faces) for who in people]
                recognised[name] = float(np.mean(near))
        print(f"seed {seed}: {len(exact)} keyframes so far", flush=True)
    for version in VERSIONS:
        mine = [name for name in exact if name.endswith(version)]
        means = (float(np.mean([one[name] for name in mine])) for one in (exact, recognised))
        print("{:9s} LT by the oracle {:.2f}, by recognised faces {:.2f}".format(version, *means))
    line = {"name": "trust_lt_faces", "unit": "rank correlation"} | correlated([(exact, recognised)], False)
    print(json.dumps(line | {"baseline": correlated([(_shuffled(exact), recognised)], False)["value"]}), flush=True)


def _references(film: Truth, embedder: FaceEmbedder) -> dict[str, NDArray[np.float32]]:
    """A person -> their largest face in the film, where it is found."""
    largest: dict[str, tuple[float, int, tuple[float, float, float, float]]] = {}
    for told in film.timeline:
        for one in told.appearances:
            known = (one.face_pixels, told.second, one.face)
            largest[one.character] = max(largest.get(one.character, known), known)
    stage, found = Stage(write(film.seed, int(film.seconds), LARGE[0] / LARGE[1]), LARGE), {}
    for name, (_, second, (x0, y0, x1, y1)) in largest.items():
        for face in embedder.faces([stage.frame(second)])[0]:
            x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
            if x0 <= x <= x1 and y0 <= y <= y1 and face.embedding is not None:
                found[name] = face.embedding
    return found


def _versions(film: Truth, second: int) -> dict[str, NDArray[np.uint8]]:
    """A keyframe as it is, with everybody exchanged for the next of the cast, and blurred."""
    script = write(film.seed, int(film.seconds), LARGE[0] / LARGE[1])
    others = [
        replace(shot, roles=tuple(replace(role, who=(role.who + 1) % len(script.people)) for role in shot.roles))
        for shot in script.shots
    ]
    own, exchanged = (Stage(one, LARGE).frame(second) for one in (script, replace(script, shots=tuple(others))))
    blurred = [cv2.GaussianBlur(own, (0, 0), width) for width in (4, 8)]
    return dict(zip(VERSIONS, (own, exchanged, *blurred), strict=True))


def _shuffled(values: Values) -> Values:
    """The same with the values of each film exchanged among its keyframes."""
    random, found = np.random.default_rng(0), dict[str, float]()
    for story in dict.fromkeys(name.partition("/")[0] for name in values):
        names = [name for name in values if name.startswith(f"{story}/")]
        found |= dict(zip(names, [values[names[place]] for place in random.permutation(len(names))], strict=True))
    return found


def told(metric: str, pairs: Sequence[tuple[Values, Values]]) -> None:
    """Prints a metric's correlation."""
    line = {"name": f"trust_{metric}", "unit": "rank correlation"} | correlated(pairs, LESS in WORDS.get(metric, ""))
    print(json.dumps(line), flush=True)


def right(samples: Samples) -> Values:
    """The share of a keyframe's facts that are right."""
    facts: dict[str, list[float]] = {}
    for metric in FACTS:
        for name, value in samples[metric].items():
            story, _, sample = name.partition("/")
            facts.setdefault(f"{story}/{sample.partition('.')[0]}", []).append(value)
    return {name: float(np.mean(values)) for name, values in facts.items()}


def faces(runs: Runs, variant: str) -> Values:
    """The share of the faces in a keyframe's script that are recognised in what a variant drew with seed 0."""
    settings = resolve("laptop")
    embedder, found = build(settings.face), dict[str, float]()
    for film in runs.films.data("test"):
        scripts = dict(zip(film.seconds.tolist(), film.scripts, strict=True))
        for second, picture in runs.pictures(variant, 0, film.film.film_id).items():
            seen = embedder.faces([lanczos(picture, 896, 512)])[0]
            known = [face.embedding for face in seen if face.embedding is not None]
            if len(wanted := scripts[second].faces):
                near = [
                    any(np.linalg.norm(one - face) < settings.evaluate.same_face for one in known) for face in wanted
                ]
                found[f"{runs.films.judges[film.film.film_id].name}.0/{second}"] = float(np.mean(near))
    return found


def correlated(pairs: Sequence[tuple[Values, Values]], less: bool) -> dict[str, float | int | None]:
    """Spearman's rank correlation over all keyframes that both have, and its interval; above 0 it follows the facts."""
    stories: dict[str, list[tuple[float, float]]] = {}
    for exact, values in pairs:
        for name in exact.keys() & values.keys():
            stories.setdefault(name.partition("/")[0], []).append(
                (exact[name], -values[name] if less else values[name])
            )
    parts = [np.array(rows) for rows in stories.values()]

    def over(picked: NDArray[np.int64]) -> float:
        rows = np.concatenate([parts[int(place)] for place in picked])
        constant = np.ptp(rows, axis=0).min() == 0  # follows nothing
        return 0.0 if constant else float(spearmanr(rows[:, 0], rows[:, 1]).statistic)

    places = np.arange(len(parts))
    apart = bootstrap((places,), over, n_resamples=500, vectorized=False, method="percentile", rng=0)
    low, high = apart.confidence_interval
    return {"value": over(places), "baseline": 0, "low": float(low), "high": float(high), "n": sum(map(len, parts))}


def sheet(runs: Runs, folder: Path) -> None:
    """Writes 20 pairs and the key to them: which variant stands left, where."""
    random, rows, key = np.random.default_rng(0), [], []
    films = runs.films.data("test")
    for number in range(PAIRS):
        film = films[number % len(films)]
        drawn = [runs.pictures(name, 0, film.film.film_id) for name in PAIRED]
        second = int(random.choice(sorted(drawn[0])))
        order = random.permutation(2).tolist()
        (row,) = [row for row, t in zip(film.row_ids, film.seconds.tolist(), strict=True) if t == second]
        tiles = [runs.films.pictures[row], *(drawn[side][second] for side in order)]
        rows.append(
            np.concatenate([_titled(one, f"{number + 1} {name}") for one, name in zip(tiles, "=AB", strict=True)], 1)
        )
        story = f"{runs.films.judges[film.film.film_id].name}.0"
        key.append({"pair": number + 1, "keyframe": f"{story}/{second}", "A": PAIRED[order[0]], "B": PAIRED[order[1]]})
    half = PAIRS // 2
    pages = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], 1)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "pairs.webp"), cv2.cvtColor(pages, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, 80])
    (folder / "key.json").write_text(json.dumps(key, indent=1) + "\n")


def _titled(picture: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    page: NDArray[np.uint8] = cv2.copyMakeBorder(picture, 16, 4, 0, 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(page, title.replace("=", "original"), (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return page


def judged(runs: Runs, folder: Path) -> None:
    """Prints what the eye says of the variants, and how often each metric, where it has a side, is on the eye's."""
    key = {one["pair"]: one for one in json.loads((folder / "key.json").read_text())}
    said = dict(line.split() for line in (folder / "judged.txt").read_text().splitlines())
    eye = {
        int(pair): 0 if side == "=" else 1 if key[int(pair)][side] == PAIRED[0] else -1 for pair, side in said.items()
    }
    print(
        json.dumps(
            {
                "name": "eye",
                "value": [*eye.values()].count(1),
                "baseline": [*eye.values()].count(-1),
                "unit": f"pairs for {PAIRED[0]}, for {PAIRED[1]}",
                "n": len(eye),
            }
        )
    )
    both = [runs.samples(name, 0) for name in PAIRED]
    columns = {"oracle": [right(one) for one in both]} | {name: [one[name] for one in both] for name in METRICS[:2]}
    for metric, (mine, theirs) in columns.items():
        sides = {
            pair: np.sign(mine[key[pair]["keyframe"]] - theirs[key[pair]["keyframe"]])
            for pair in key
            if key[pair]["keyframe"] in mine
        }
        asked = [pair for pair in sides if eye.get(pair) and sides[pair]]
        agreed = sum(bool(sides[pair] == eye[pair]) for pair in asked)
        print(
            json.dumps(
                {"name": f"eye_{metric}", "value": agreed, "unit": "pairs", "baseline": len(asked) / 2, "n": len(asked)}
            )
        )


if __name__ == "__main__":
    main()

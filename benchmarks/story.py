"""Do the keyframes of a story in plain words show what the story says?

    python benchmarks/story.py [--sheet PICTURE] [--set SETTING=VALUE]

Dreams benchmarks/story.yaml, which plays in the places of an evaluation film, with the recipe `laptop` and without any
training. An oracle that knows colours and shapes, and no learned model, tells of each keyframe whether the place is
right and whether the colour that each person wears is seen on somebody (oracle.py); a network that learnt from drawn
pictures alone counts people (counting.py). The last line is JSON: the share of all these facts that are right, with its
95 % interval from resampled keyframes; the baseline is the same pictures under the facts of other keyframes.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from counting import Counter
from numpy.typing import NDArray
from oracle import Oracle, Verdict
from rebuilt_films import Pictures, tell

from drawn.film import truth
from drawn.truth import Truth
from flows.rendering import settings as story_settings
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from models import sentence
from models.autoregressive import screenplay
from models.autoregressive.generate import Request, generate
from storage.decoding.pictures import decode
from storage.root import Storage
from storage.stories import reading
from storage.stories.story import Placed, Story
from tasks.movies.render import Draft, Painter, dreamer
from tasks.movies.stories import prepare
from tasks.movies.stories.planner import plan

STORY = Path(__file__).with_suffix(".yaml")
SEED = 42  # of the film whose places and people the story has
ELSEWHERE = 7  # keyframes on, whose facts are the baseline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="write the keyframes to this picture")
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe laptop, as the program's")
    args = parser.parse_args()
    measure(args.set, args.sheet)


def measure(changes: Sequence[str] = (), path: Path | None = None) -> None:
    """Prints all figures; `path` is a picture of the keyframes."""
    story, film = reading.read(STORY), truth(SEED)
    with tempfile.TemporaryDirectory() as scratch:
        pictures = dreamt(story, resolve("laptop", changes), Storage(scratch))
    counts = Counter.trained().count(pictures).tolist()
    seen, shots = list(zip(map(Oracle(film), pictures), counts, strict=True)), list(story.shots())
    others = [*seen[ELSEWHERE:], *seen[:ELSEWHERE]]
    mine, theirs = (
        [right(verdict, count, shown, film) for (verdict, count), shown in zip(some, shots, strict=True)]
        for some in (seen, others)
    )
    for name, part in (("story_place", slice(0, 1)), ("story_people", slice(1, 2)), ("story_clothes", slice(2, None))):
        tell(name, "share", [one[part] for one in mine], [one[part] for one in theirs], [SEED])
    tell("story_facts", "share", mine, theirs, [SEED])
    if path:
        rows = [np.concatenate(list(pictures[start : start + 6]), axis=1) for start in range(0, len(pictures), 6)]
        cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def dreamt(story: Story, recipe: Recipe, storage: Storage) -> Pictures:
    """A keyframe of each shot; a scene knows nothing of the others."""
    settings = story_settings(recipe, storage)
    prepare.keep(settings.models, recipe.frozen, recipe.autoregressive.init, storage)
    written = plan(story, settings, {}).scripts.screenplay
    scripts, _ = screenplay.encode(written, sentence.build(settings.sentence), {}, settings.face.width)
    model = dreamer(recipe.render.generation, storage, settings.models.autoregressive)
    painter, pictures, first = Painter(recipe.render, storage, settings.models.decoder), list[NDArray[np.uint8]](), 0
    for number, scene in enumerate(story.scenes):
        mine = scripts[first : first + len(scene.shots)]
        (tokens_TLD,) = generate(model, [Request(mine, story.seed + number)], recipe.render.generation)
        pictures += map(decode, painter.paint(Draft("dreamt", mine, tokens_TLD)))
        first += len(mine)
    return np.stack(pictures)


def right(verdict: Verdict, people: int, shown: Placed, film: Truth) -> NDArray[np.float64]:
    """Whether the place, the number of people, and each one's colour are what a shot says."""
    names: Sequence[str] = shown.shot.characters
    worn = [film.who[name].top in verdict.clothes for name in names]
    return np.array([verdict.place == shown.scene.place, people == len(names), *worn], float)


if __name__ == "__main__":
    main()

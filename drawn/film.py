"""A film from a seed: every frame is a function of the script and the time; composed, encoded, with its truth.

python -m drawn.film OUT.mp4 --seed 7 --seconds 96
"""

import argparse
import os
import time as clock
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from drawn.paint import Array, Colour
from drawn.people import CLOTHS, HAIRS, SKINS, Look, named
from drawn.script import write
from drawn.sound import RATE, compose
from drawn.stage import Stage, seen
from drawn.truth import Appearance, Second, Truth, Where, Who

__all__ = ["Appearance", "Second", "Truth", "draw_film", "draw_frames", "truth"]

REVISION = 2  # of what a seed draws
SIZE = (896, 512)
ENCODER = {  # x264's faster arithmetic sometimes gives other bytes for one seed, and so another film
    "preset": "veryfast",
    "crf": "18",
    "threads": "1",
    "x264-params": "cpu-independent=1",
}


def truth(seed: int = 7, seconds: int = 96, size: tuple[int, int] = SIZE, fps: int = 24) -> Truth:
    """What the film of a seed shows, without drawing it; size is (width, height) in pixels."""
    _check(size, fps)
    script = write(seed, seconds, size[0] / size[1])
    timeline = []
    for second in range(seconds):
        shot = script.shot_at(second)
        place = script.places[shot.place].name if shot.kind == "scene" else ""
        timeline.append(Second(second, shot.index, shot.kind, place, shot.size, shot.plot, seen(script, second, size)))
    return Truth(
        seed,
        script.title,
        float(seconds),
        fps,
        *size,
        {p.name: p.description for p in script.people},
        {p.name: p.description for p in script.places},
        {p.name: _who(p.look) for p in script.people},
        {p.name: Where(p.kind, p.mood.word, p.air) for p in script.places},
        tuple(float(s.start) for s in script.shots[1:]),
        tuple(timeline),
    )


def _who(look: Look) -> Who:
    def rgb(colour: Colour) -> Colour:
        r, g, b = (round(v, 4) for v in colour)
        return r, g, b

    return Who(
        woman=look.woman,
        years=look.years,
        skin=named(look.skin, SKINS),
        hair=named(look.hair, HAIRS),
        style=look.style,
        beard=look.beard,
        glasses=look.glasses,
        clothes=look.clothes,
        top=named(look.top, CLOTHS),
        accent=named(look.accent, CLOTHS),
        skin_rgb=rgb(look.skin),
        hair_rgb=rgb(look.hair),
        top_rgb=rgb(look.top),
        accent_rgb=rgb(look.accent),
    )


def draw_frames(
    seed: int, times: Sequence[float], seconds: int = 96, size: tuple[int, int] = SIZE, fps: int = 24
) -> Iterator[Array]:
    """The film's frames at `times` in seconds, RGB uint8 [H, W, 3], in that order; nothing else is drawn."""
    _check(size, fps)
    stage = Stage(write(seed, seconds, size[0] / size[1]), size)
    try:
        for t in times:
            if not 0 <= t < seconds:
                raise ValueError(f"a time lies in 0..{seconds} seconds, got {t}")
            yield stage.frame(int(t * fps + 1e-6) / fps)
    finally:
        stage.forget()


def draw_film(
    path: Path,
    seed: int = 7,
    seconds: int = 96,
    size: tuple[int, int] = SIZE,
    fps: int = 24,
    progress: Callable[[int, int], None] | None = None,
) -> Truth:
    """Draw and encode a film to `path` (mp4: H.264 and AAC) and its truth beside it as .truth.json.

    `size` is (width, height) in pixels, both even; `progress` hears (frames done, frames in all) once a second of film.
    The film appears under its name only when it is complete.
    """
    import av

    told = truth(seed, seconds, size, fps)
    script = write(seed, seconds, size[0] / size[1])
    stage = Stage(script, size)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as out:
            out.metadata["title"] = told.title
            video = out.add_stream("libx264", rate=fps, options=ENCODER | {"g": str(2 * fps)})
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.thread_count = 1
            audio = out.add_stream("aac", rate=RATE, layout="stereo")
            audio.bit_rate = 96_000
            sound = compose(script)
            for i in range(seconds * fps):
                yuv = cv2.cvtColor(stage.frame(i / fps), cv2.COLOR_RGB2YUV_I420)
                picture = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
                picture.pts, picture.time_base = i, Fraction(1, fps)
                out.mux(video.encode(picture))
                if (i + 1) % fps == 0:
                    heard = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(sound[:, i // fps * RATE : (i // fps + 1) * RATE]),
                        format="fltp",
                        layout="stereo",
                    )
                    heard.sample_rate, heard.pts, heard.time_base = RATE, i // fps * RATE, Fraction(1, RATE)
                    out.mux(audio.encode(heard))
                    if progress is not None:
                        progress(i + 1, seconds * fps)
            out.mux(video.encode(None))
            out.mux(audio.encode(None))
        path.with_suffix(".truth.json").write_text(told.to_json())
        part.replace(path)
    finally:
        stage.forget()
        part.unlink(missing_ok=True)
    return told


def _check(size: tuple[int, int], fps: int) -> None:
    if size[0] % 2 or size[1] % 2 or min(size) < 96:
        raise ValueError(f"a frame's width and height are even and at least 96 pixels, got {size}")
    if fps < 1:
        raise ValueError(f"a film needs at least 1 frame a second, got {fps}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw a film from a seed, with its truth beside it.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=96)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("WIDTH", "HEIGHT"))
    args = parser.parse_args()
    began = clock.monotonic()
    told = draw_film(args.out, args.seed, args.seconds, tuple(args.size))
    print(
        f"{args.out}: “{told.title}”, {told.seconds:.0f} s, {len(told.cuts) + 1} shots, "
        f"{', '.join(told.characters)} in {', '.join(told.places)}; drawn in {clock.monotonic() - began:.1f} s"
    )


if __name__ == "__main__":
    main()

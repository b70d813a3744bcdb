"""A world of films for the autoregressive model's benchmarks: tokens and scripts drawn straight away, no pictures.

A film has a style that no script tells, three of a great many people, and shots in places. The first token of a
keyframe is its place's look in the film's style, the second what the person in front looks like and does. A description
tells which of four kinds a person is; only the face tells which one: looks are one linear map of faces for all films,
so that faces of people never seen mean something. Each keyframe's light shows in its second token and in the face as
it is seen there, so that a face from the keyframe itself gives the answer away (Appendix C). Of two people side by side
either has half of the second token.

Shapes: T keyframes, L tokens, D token width, C sentence width, F face width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.autoregressive.script_tokens import CHARACTER, PLOT, SCENE_ELEMENT, FrameScript
from models.training.scripted import InMemoryEpisode

L, D, C, F = 2, 16, 16, 16
PLACES, KINDS, ACTIONS = 10, 4, 6
SIDES = 4  # channels of where somebody stands, which a mirror turns over
FACE_NOISE = 0.5


@dataclass(frozen=True)
class Film:
    """`episode` is for training, with each keyframe's own faces; `scripts` for tests, with faces from others."""

    episode: InMemoryEpisode
    scripts: list[FrameScript]
    people: list[list[int]]
    looks_3D: NDArray[np.float32]


class World:
    """All that films have in common, a function of the seed."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng([seed, 0xF117])
        draw = random.standard_normal
        self.place_LD, self.place_C = draw((PLACES, D)), draw((PLACES, C))
        self.kind_D, self.kind_C = draw((KINDS, D)), draw((KINDS, C))
        self.action_D, self.action_C = 0.5 * draw((ACTIONS, D)), draw((ACTIONS, C))
        self.look_FD = draw((F, D)) / F**0.5
        self.light_FD = draw((F, D)) / F**0.5

    def film(self, number: int, frames: int, seats: int = 1) -> Film:
        """A film with people of its own, `seats` of them in each keyframe."""
        random = np.random.default_rng([number, 0xF11])
        draw = random.standard_normal
        style_D, faces_3F, kinds_3 = 0.7 * draw(D), draw((3, F)), random.integers(0, KINDS, 3)
        looks_3D = self.kind_D[kinds_3] + faces_3F @ self.look_FD
        seen_3 = [faces_3F[i] + FACE_NOISE * draw((8, F)) for i in range(3)]
        places = random.choice(PLACES, 3, replace=False)
        tokens: list[NDArray[np.float64]] = []
        scripts: list[FrameScript] = []
        tested: list[FrameScript] = []
        people: list[list[int]] = []
        while len(tokens) < frames:
            place, who = places[random.integers(3)], random.permutation(3)[:seats].tolist()
            for _ in range(int(random.integers(2, 6))):
                action, light_SF = int(random.integers(ACTIONS)), FACE_NOISE * draw((seats, F))
                scene_D = self.place_LD[place] + style_D + 0.15 * draw(D)
                seen_SD = looks_3D[who] + light_SF @ self.light_FD
                width = (D - SIDES) // seats
                person_D = np.concatenate([*seen_SD[:, :width], 0.5 * draw(SIDES)]) + 0.15 * draw(D)
                person_D[:-SIDES] += self.action_D[action][:-SIDES]
                said = [*self.kind_C[kinds_3[who]], self.place_C[place], self.action_C[action]]
                script = FrameScript(
                    f"{number:04d}-{len(tokens):06d}",
                    np.stack(said).astype(np.float32) / C**0.5,
                    np.array([CHARACTER] * seats + [SCENE_ELEMENT, PLOT], np.int8),
                    (faces_3F[who] + light_SF).astype(np.float32),
                    tuple(seen_3[one].astype(np.float32) for one in who),
                )
                tokens.append(np.stack([scene_D, person_D]))
                scripts.append(script)
                tested.append(script.with_random_faces(random))
                people.append(who)
        tokens_TLD = torch.from_numpy(np.stack(tokens).astype(np.float32))[:frames]
        flipped_TLD = tokens_TLD.clone()
        flipped_TLD[:, 1, -SIDES:] *= -1
        episode = InMemoryEpisode(f"{number:04d}", scripts[:frames], tokens_TLD, flipped_TLD)
        return Film(episode, tested[:frames], people[:frames], looks_3D.astype(np.float32))

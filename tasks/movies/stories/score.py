"""The music of a story: each scene has the key of its place and the mood that its author names.

Words are English; an unknown mood is neutral, and an unknown place gets a key derived from its name.
"""

import re
import zlib
from collections.abc import Mapping, Sequence

from drawn.sound import PLAIN, SCALES, Feeling, Part
from storage.stories.story import Scene, Story

VERSION = 1
"""Version of the mapping from words to music; part of the key of a sound."""

LONGEST = 24.0
"""Seconds after which the music goes over into another part in the same key."""

FEELINGS: Mapping[str, Feeling] = {
    "calm|quiet|peace|tender|gentle|warm|dream|soft|serene|relie": Feeling(beat=0.75, density=0.45),
    "sad|grie|mourn|lonel|melanchol|sorrow|loss|farewell|regret|wistful|bitter": Feeling((0, 2, 3, 7, 8), -3, 0.8, 0.4),
    "tens|fear|danger|threat|ang|panic|suspens|chase|dark|omin|horror|urgen|fight": Feeling(
        (0, 1, 3, 6, 7), -5, 0.35, 0.45
    ),
    "joy|happ|cheer|playful|bright|funny|festiv|hope|excit|triumph": Feeling((0, 2, 4, 7, 9), 2, 0.3, 0.65),
    "myster|strange|eerie|uncanny|curious|magic|wonder|secret": Feeling((0, 2, 3, 6, 9), -2, 1.0, 0.5),
    "grand|epic|majest|solemn|heroic|vast|noble": Feeling((0, 4, 5, 7, 11), -7, 0.6, 0.5),
}
"""Beginnings of words -> their effect on the music."""

PLACES: Mapping[str, str] = {
    "harbour": "harbou?r|port|docks?|piers?|quays?|ships?|boats?|wharf|ferry",
    "forest": "forests?|woods?|jungle|park|garden|trees?|grove",
    "street": "streets?|city|town|alley|roads?|square|market|station|bridge|highway",
    "mountain": "mountains?|hills?|peak|cliffs?|valley|summit|glacier",
    "village": "village|farm|fields?|meadow|barn|orchard",
    "beach": "beach|sea|ocean|shore|island|coast|lake|river",
    "desert": "desert|dunes?|canyon|wasteland|mars",
    "room": "rooms?|house|home|kitchen|office|hall|attic|cellar|library|school|caf[eé]|bar|shop|studio|bedroom|lab",
}
"""The composer's kind of place -> words for it."""


def parts(story: Story, scenes: Sequence[tuple[Scene, float]]) -> list[Part]:
    """The parts to compose for scenes of these lengths in seconds."""
    described = {place.name: f"{place.name} {place.description}" for place in story.places}
    found = []
    for number, (scene, seconds) in enumerate(scenes):
        kind, heard = _place(described.get(scene.place, f"{scene.place} {scene.title}"))
        feeling = _feeling(scene.mood)
        count = max(1, round(seconds / LONGEST))
        for place in range(count):
            seed = zlib.crc32(f"{story.seed} {number} {place} {scene.place} {scene.mood}".encode(errors="replace"))
            found.append(Part(kind, seed, seconds / count, feeling, heard))
    return found


def _feeling(mood: str) -> Feeling:
    """The feeling of the first known word."""
    found = {
        match.start(): feeling
        for words, feeling in FEELINGS.items()
        if (match := re.search(rf"\b(?:{words})", mood, re.IGNORECASE))
    }
    return found[min(found)] if found else PLAIN


def _place(words: str) -> tuple[str, bool]:
    """Kind of place, and whether the words name it, so that its sounds are added."""
    found = {
        match.start(): kind
        for kind, names in PLACES.items()
        if (match := re.search(rf"\b(?:{names})\b", words, re.IGNORECASE))
    }
    if found:
        return found[min(found)], True
    kinds = sorted(SCALES)
    return kinds[zlib.crc32(words.encode(errors="replace")) % len(kinds)], False

"""Words of a synopsis and what they tell: places, times, moods, sex, age; and how names and speech are written."""

import re

from drawn.words import FRAMES

LONGEST_PERSON = 60  # characters of somebody's name
PLACES = {  # words that tell a kind of place
    "harbour": "harbour harbor quay quayside pier dock docks port jetty lighthouse boat boats ship",
    "forest": "forest wood woods grove trees",
    "street": "street streets alley lane town city market",
    "room": "room library kitchen attic study parlour cottage house hall indoors inn tavern",
    "mountain": "mountain mountains meadow peak peaks hill hills ridge cabin",
    "village": "village hamlet",
    "beach": "beach shore seaside sands coast cove",
    "desert": "desert dunes",
}
KIND = {word: kind for kind, words in PLACES.items() for word in words.split()}
OUTSIDE = re.compile(  # "beside the old house"
    r"\b(?:beside|behind|outside|near|past|around|towards?|from|leaves?|in front of|next to)"
    rf" (?:(?:of|an?|the|his|her|their|its) )+(?:\w+ )?(?:{PLACES['room'].replace(' ', '|')})\b",
    re.I,
)
TIMES = {
    "at night": "night midnight",
    "at dawn": "dawn daybreak sunrise",
    "at dusk": "dusk sunset twilight",
    "under a stormy sky": "storm stormy thunder",
    "in the fog": "fog foggy mist",
    "with falling snow": "snow snows snowing",
    "with falling rain": "rain rains raining",
    "in the morning": "morning",
    "in the golden evening": "evening",
}
CLOSE = re.compile(
    r"\b(?:thinks?|smiles?|cries|cry|weeps?|whispers?|remembers?|looks?|stares?|feels?|sighs?|says?|asks?|tells?|reads?"
    r"|dreams?|laughs?|listens?|frowns?|nods?|wonders?|face|eyes)\b",
    re.I,
)
MOOD_WORDS = {
    "tense": "storm afraid fear dark danger threat runs hunt chase shouts breaks knife scream lost attack",
    "happy": "smile smiles laugh laughs dance dances joy happy celebrate sings wedding feast friends",
    "sad": "cries weeps tears alone grave dead dies sad mourns goodbye farewell funeral",
}
SHE = re.compile(r"\b(?:she|woman|girl|lady|mother|daughter|sister|wife|aunt|queen|widow|grandmother)\b", re.I)
HE = re.compile(r"\b(?:he|man|boy|gentleman|father|son|brother|husband|uncle|king|grandfather)\b", re.I)
OLD = re.compile(r"\b(?:old|elderly|aged|grand\w+|grey|white-haired)\b", re.I)
CLAD = re.compile(r"\b(?:in|wearing|wears) (?:an? |the |his |her |their )?\w+|\bwith\b", re.I)
COMMON = """
    a an the this that these those there here it its i he she they we you his her their our my your one some all
    both each every no not nobody somebody someone everyone everybody nothing something everything who what
    when where why how which in on at by with from into onto under over after before behind between beside
    through across near inside outside as if but and or so yet then now later soon suddenly finally meanwhile
    once again still even only just perhaps maybe night morning evening noon dawn dusk midnight day today
    tomorrow yesterday spring summer autumn winter rain snow fog wind storm light darkness silence time life
    death love god people children men women man woman boy girl two three four five six seven eight nine ten
    many few several another other others old young new long monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december scene act
    chapter title far high low deep slowly quietly together alone mr mrs ms dr sunlight moonlight smoke earth
    mars fire water waves clouds stars years days hours weeks months
"""
NOT_NAMES = frozenset(COMMON.split())  # though they may begin a sentence
MANY_CAPITALS = 0.15  # share of words with a capital from which a language gives them to more than names
FREQUENT = "the and of is was he she they his her him their it with at by from into for"
ENGLISH = frozenset(FREQUENT.split())
FEW_ENGLISH = 0.03  # share of ENGLISH in an English text, at least
ENOUGH = 12  # words, from which that share tells the language
NEAR = FRAMES["close-up"][0]
TITLE = re.compile(r"(?:#+\s*|title\s*:\s*)(?P<title>.+?)\s*#*", re.I)
HEADING = re.compile(r"#+\s*(?P<title>.+?)\s*#*")
COLON = re.compile(r"(?:[-*]\s+)?(?P<name>[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,3})\s*:\s+(?P<said>\S.*)")
QUOTED = re.compile(r"[\"“„«](?P<said>[^\"“”„«»]+)[\"”“»]")
ENDED = re.compile(r"[.!?…。！？।॥:;][\"'”’»)\]]*$")
NAME = r"(?:(?:Mr|Mrs|Ms|Dr)\.? )?[A-Z][\w'’-]*(?: (?:[A-Z][\w'’-]*))*"

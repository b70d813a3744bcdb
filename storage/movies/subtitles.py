"""Subtitles: timed lines as SubRip without tags, and the code of their language."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from storage.printable import LINE, cut, printable

Timed = tuple[float, float, str]
"""Start and end in seconds of the movie, and the text."""

_WIDEST = 800  # characters a line: ffmpeg passes over lines of more than 4096 bytes
_NO_SPACE = "\u200b"  # of no width
_MARKUP = re.compile(r"--(?=>)|[<{\\](?=\S)")  # "-->", "<b>", "{\an8}" and "\n" mean something to players

_CODES = (  # ISO 639-1, then ISO 639-2/T
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bhbih bibis bmbam bnben"
    " bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell eneng"
    " eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv hahau heheb"
    " hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita iuiku jajpn jvjav"
    " kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim"
    " lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep"
    " ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh"
    " rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot"
    " susun svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig ukukr"
    " ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul"
)
_TERMINOLOGY = {pair[:2]: pair[2:] for pair in _CODES.split()}


@dataclass(frozen=True)
class Subtitles:
    """One subtitle track: its name, its language (an ISO 639 code such as "en"), and its lines."""

    name: str
    language: str
    lines: Sequence[Timed]


def iso639(language: str) -> str:
    """The three-letter code that movies carry: "eng" for "en"; "und" for anything that is not a code."""
    if re.fullmatch("[a-z]{3}", language):
        return language
    return _TERMINOLOGY.get(language, "und")


def srt(subtitles: Sequence[Timed]) -> str:
    """SubRip text; subtitles without words are left out, long ones cut, and what looks like a tag is shown as written.

    Raises:
        ValueError: for a subtitle that ends before it starts.
    """
    blocks: list[str] = []
    for start, end, text in subtitles:
        if not 0 <= start < end:
            raise ValueError(f"subtitle {text!r} from {start} to {end} s: it has to end after it starts")
        whole = (printable(line.strip(), LINE) for line in cut(text, LINE).splitlines())
        if lines := "\n".join(part for line in whole for part in textwrap.wrap(line, _WIDEST)):
            words = _MARKUP.sub(rf"\g<0>{_NO_SPACE}", lines)
            blocks.append(f"{len(blocks) + 1}\n{_clock(start)} --> {_clock(end)}\n{words}\n")
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d},{whole % 1000:03d}"

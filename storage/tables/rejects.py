"""Why a film was left out, or used in part: every drop has a reason that is counted, kept and shown."""

from pydantic import BaseModel

from storage.errors import FilmError

REASONS: dict[str, str] = {
    "missing": "no file there, or a folder or pattern without films",
    "duplicate": "the same bytes as a film that came earlier",
    "near_duplicate": "the same pictures as a film that is used, in a smaller copy or in one that came later",
    "named_twice": "a manifest row names a file that an earlier row already named; the earlier row counts",
    "also_named": "films that a manifest names and a path, folder or pattern leads to: what the manifest says counts",
    "not_by_ending": "files in a folder that are no films by their ending",
    "own_work": "films that runs made in this storage, in a folder that was given",
    "bad_manifest": "a manifest that cannot be read",
    "bad_row": "a row of a manifest that cannot be used",
    "unreadable": "the system does not let the file be read",
    "unreachable": "a place that does not answer, or broke off; the next run tries again",
    "not_a_video": "not a media file",
    "no_video_stream": "a media file without moving pictures",
    "unknown_codec": "moving pictures in a codec that cannot be decoded here",
    "encrypted": "pictures that are encrypted, all or in part",
    "too_small": "a picture of too few pixels",
    "too_short": "fewer than two keyframes are left after the trim",
    "truncated": "the end of the file is missing, and nothing decodes without it",
    "decode_failed": "no, or only one, keyframe decodes",
    "partly_decoded": "damaged; the keyframes that decode are used",
    "partly_captioned": "some captions are the describer's, because the captioner's own can't be used",
    "uncaptioned": "not one of its captions can be used, though the captioner's captions of other films can",
    "long_sentences": "some sentences of its scripts are too long for the encoder, which reads their first words",
    "crashed": "it ended the decoder, or its worker",
    "out_of_memory": "work on it takes more memory than there is, or than allowed",
    "over_budget": "the requests or tokens that it may cost are used up",
    "silent": "the film's sound cannot be read; its movie has none",
    "timed_out": "work on it takes more time than allowed",
}


NOTES = frozenset(
    {"partly_decoded", "partly_captioned", "long_sentences", "silent", "also_named", "not_by_ending", "own_work"}
)
"""Reasons that tell of a film that is used all the same, or of no film."""

PASSING = frozenset({"missing", "unreadable", "unreachable", "crashed", "out_of_memory", "over_budget", "timed_out"})
"""Reasons that may be gone the next time."""


class Reject(BaseModel, frozen=True, extra="forbid"):
    """One row of the table `rejects`; `film_id` is "" when there are no bytes to name the film by."""

    source: str
    reason: str
    detail: str
    stage: str = "films"
    film_id: str = ""
    fingerprint: str = ""
    attempts: int = 1

    @classmethod
    def of(cls, error: FilmError, source: str, film_id: str = "", stage: str = "films") -> "Reject":
        return cls(source=source, reason=error.reason, detail=error.detail, film_id=film_id, stage=stage)

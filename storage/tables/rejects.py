"""Why a film was rejected or used only in part. Every reason is counted, stored and shown."""

from pydantic import BaseModel

from storage.errors import FilmError

REASONS: dict[str, str] = {
    "missing": "the file does not exist, or a folder or pattern has no films",
    "duplicate": "the same bytes as a film that came earlier",
    "near_duplicate": "the same pictures as a film that is used; this copy is smaller or came later",
    "named_twice": "a manifest row names a file that an earlier row already named; the earlier row counts",
    "also_named": "films given both by a manifest and by a path, folder or pattern; the manifest's row counts",
    "not_by_ending": "files in a folder whose extension is not that of a film",
    "own_work": "films in a given folder that runs made in this storage",
    "bad_manifest": "a manifest that cannot be read",
    "bad_row": "a row of a manifest that cannot be used",
    "unreadable": "the operating system denies reading the file",
    "unreachable": "the source did not answer or the connection broke; the next run retries",
    "not_a_video": "not a media file",
    "no_video_stream": "a media file without video",
    "unknown_codec": "video in a codec that cannot be decoded here",
    "encrypted": "the video is encrypted, completely or in part",
    "too_small": "the picture has too few pixels",
    "too_short": "fewer than two keyframes are left after the trim",
    "truncated": "the end of the file is missing, and nothing decodes without it",
    "decode_failed": "at most one keyframe can be decoded",
    "partly_decoded": "damaged; the keyframes that decode are used",
    "partly_captioned": "some captions are the describer's, because the captioner's own can't be used",
    "uncaptioned": "none of its captions can be used, although the captioner's captions of other films can",
    "long_sentences": "some sentences of its scripts are too long for the encoder, which reads only their first words",
    "crashed": "it crashed the decoder or its worker",
    "out_of_memory": "it needs more memory than is available or allowed",
    "over_budget": "its budget of requests or tokens is used up",
    "silent": "the film's sound cannot be read; its movie has none",
    "timed_out": "it takes more time than allowed",
}


NOTES = frozenset(
    {"partly_decoded", "partly_captioned", "long_sentences", "silent", "also_named", "not_by_ending", "own_work"}
)
"""Reasons of films that are used nevertheless, and of files that are not films."""

PASSING = frozenset({"missing", "unreadable", "unreachable", "crashed", "out_of_memory", "over_budget", "timed_out"})
"""Reasons that may not apply the next time."""


class Reject(BaseModel, frozen=True, extra="forbid"):
    """One row of the table `rejects`; `film_id` is "" if the film's bytes, and so its id, are unknown."""

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

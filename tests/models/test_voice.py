"""Voices: what is spoken, how long it is, and that odd words and odd servers do no harm."""

import io
import json
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.server import BudgetError, ServerError
from models.voice import HibariConfig, OpenAiVoiceConfig, SilentConfig, Words, build, estimate
from models.voice.openai import OpenAiVoice, SpeechServerConfig
from models.voice.voice import LONGEST, pieces
from storage.fingerprint import fingerprint
from tests.models.test_server import FastClock

STORY = "Ann opens the letter. “Who wrote this?” she asks, and Ben, who has come in, does not answer."


@pytest.fixture(scope="module")
def hibari():
    return build(HibariConfig())


def spoken(voice, text, speaker=""):
    (speech,) = voice.speak([Words(text, speaker)])
    return speech


def test_the_embedded_voice_speaks_at_the_pace_that_is_estimated_and_does_not_clip(hibari):
    speech = spoken(hibari, STORY)
    assert speech.samples.dtype == np.float32
    assert speech.seconds == pytest.approx(estimate(STORY), rel=0.25)
    assert 0.1 < np.abs(speech.samples).max() < 0.99


@pytest.mark.parametrize("text", ["In 1984 Ann was 12 years old.", "He paid $5 & left 50% of it.", "At 12:30 he came."])
def test_the_estimate_leaves_time_for_numbers_and_signs(hibari, text):
    assert spoken(hibari, text).seconds < estimate(text) + 0.2


def test_equal_words_sound_equal_whatever_was_said_before(hibari):
    first = spoken(hibari, "Who is there?")
    spoken(hibari, "Somebody else.")
    assert np.array_equal(spoken(build(HibariConfig()), "Who is there?").samples, first.samples)


def test_members_of_the_cast_differ_in_pitch_and_keep_the_pace(hibari):
    told = build(HibariConfig(pitches={"Ben": 0.8}))
    narrator, ben = spoken(told, STORY), spoken(told, STORY, "Ben")
    assert ben.rate == 0.8 * narrator.rate
    assert ben.seconds == pytest.approx(narrator.seconds, rel=0.1)
    assert spoken(hibari, "Yes.", "Ben").rate != narrator.rate
    with pytest.raises(ValidationError, match=r"less than or equal to 1\.4"):
        HibariConfig(pitches={"Ben": 9})


@pytest.mark.parametrize("text", ["", "  \n", "…", "!!! ---", "\x00", "你好", "😀", "\ud800", "\u202e"])
def test_what_cannot_be_spoken_is_silence(hibari, text):
    assert spoken(hibari, text).seconds < 0.6


@pytest.mark.parametrize(
    "text",
    ["No", "12:30", "1e3", "= 5", "<b>Hi</b> {\\an8}", "[Hi](/ˈɑ/)", "a" * 700, "x\n" * 20, "Hi\x1b[2J", "'; DROP"],
)
def test_odd_words_are_spoken_as_they_stand(hibari, text):
    speech = spoken(hibari, text)
    assert 0.3 < speech.seconds < 30
    assert np.isfinite(speech.samples).all()


@given(st.text(max_size=900), st.integers(20, 300))
def test_pieces_are_short_and_keep_all_letters(text, most):
    parts = pieces(text, most)
    assert all(0 < len(part) <= most for part in parts)
    letters = "".join(filter(str.isalnum, text.encode(errors="ignore").decode()))
    assert sum(len(letters) for letters in parts) <= len(text)
    assert estimate(text) >= 0
    assert bool(parts) or not letters or text.lstrip()[:1].isdigit()  # marks of lists are left out


def test_long_sentences_are_cut_at_clauses_then_words_then_anywhere():
    clauses = "He came in, " * 40
    assert {part.endswith(",") for part in pieces(clauses)} == {True}
    assert " ".join(pieces("word " * 500)) == ("word " * 500).strip()
    assert [len(part) for part in pieces("é" * 700)] == [LONGEST, LONGEST, 100]


def test_without_a_voice_nobody_speaks():
    assert spoken(build(SilentConfig()), STORY).seconds == 0


def wav(seconds: float, rate: int = 16_000, level: float = 0.5) -> bytes:
    """A tone as 16-bit stereo."""
    tone = level * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.repeat((tone * 32767).astype("<i2"), 2).tobytes())
    return file.getvalue()


@contextmanager
def server(answer: Callable[[dict[str, str], int], tuple[int, bytes]]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Speaks as `answer` says, which is told what was asked and how often before; its URL, and what it was asked."""
    asked: list[dict[str, str]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                times = asked.count(body)
                asked.append(body)
            assert self.path == "/v1/audio/speech"
            status, data = answer(body, times)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", asked
    finally:
        http.shutdown()
        http.server_close()


def openai(url: str, **options: object) -> OpenAiVoice:
    config = SpeechServerConfig.model_validate({"base_url": url, "model": "tts"} | options)
    return OpenAiVoice(OpenAiVoiceConfig(server=config, voices={"Ben": "deep"}), FastClock().clock())


def test_a_server_speaks_each_line_with_its_speakers_voice_in_the_order_of_the_lines():
    lengths = {"One.": 0.5, "Two two.": 1.0, "Three.": 1.5}
    with server(lambda body, _: (200, wav(lengths[body["input"]]))) as (url, asked):
        speeches = openai(url).speak([Words("One."), Words("Two two.", "Ben"), Words(" … "), Words("Three.")])
    assert [round(speech.seconds, 2) for speech in speeches] == [0.5, 1.0, 0, 1.5]
    assert np.abs(speeches[0].samples).max() == pytest.approx(0.5, abs=0.05)
    assert {body["input"]: body["voice"] for body in asked} == {
        "One.": "af_heart",
        "Two two.": "deep",
        "Three.": "af_heart",
    }


def test_a_server_that_stumbles_is_asked_again():
    ways = [(503, b""), (429, b""), (200, b"<html>"), (200, wav(0)), (200, wav(0.5))]
    with server(lambda _, times: ways[times]) as (url, asked):
        assert spoken(openai(url), "Hello.").seconds == pytest.approx(0.5, abs=0.01)
    assert len(asked) == 5


def test_a_streamed_header_that_does_not_know_its_length_is_read():
    data = bytearray(wav(0.5))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    with server(lambda *_: (200, bytes(data))) as (url, _):
        assert spoken(openai(url), "Hello.").seconds == pytest.approx(0.5, abs=0.01)


def test_what_a_server_refuses_is_quoted_with_the_cure():
    with (
        server(lambda *_: (400, b"no such voice")) as (url, _),
        pytest.raises(ServerError, match=r"refuses 'Hello\.': HTTP 400: no such voice.*sound\.voice\.server"),
    ):
        openai(url).speak([Words("Hello.")])
    with pytest.raises(ServerError, match=r"no answer in 6 attempts.*sound\.voice\.kind"):
        openai("http://127.0.0.1:9/v1").speak([Words("Hello.")])


def test_a_budget_stops_requests():
    with server(lambda *_: (200, wav(0.1))) as (url, asked), pytest.raises(BudgetError, match="used up its 2 requests"):
        openai(url, requests_a_film=2, concurrency=1).speak([Words(f"Line {n}.") for n in range(5)])
    assert len(asked) == 2


def test_what_decides_how_words_sound_is_their_identity():
    assert fingerprint(HibariConfig()) != fingerprint(HibariConfig(pitches={"Ben": 0.8}))
    here, there = (
        OpenAiVoiceConfig(server=SpeechServerConfig(model="m", base_url=url)) for url in ("http://a/v1", "http://b/v1")
    )
    assert fingerprint(here) == fingerprint(there) != fingerprint(OpenAiVoiceConfig(voice="deep"))

"""A model that chooses: always one of the options, and by the text, not by the commonest word."""

import json
from pathlib import Path

import pytest

from models.server import ServerConfig
from models.writer import FilmWriterConfig, LlmConfig, OpenAiWriterConfig, TemplateConfig
from models.writer.choices import Choice, LikelihoodChooser, ServerChooser, build
from tests.models import tiny_checkpoints
from tests.models.chat_server import Asked, ChatServer, Said

SIZES = ("wide shot", "medium shot", "close-up")


def asked(text: str) -> Choice:
    return Choice(text, "The best camera for this is a", SIZES)


def test_writers_without_a_model_choose_nothing() -> None:
    assert build(TemplateConfig()) is None
    assert build(FilmWriterConfig()) is None


def test_a_checkpoint_answers_with_an_option_and_the_same_each_time(tmp_path: Path) -> None:
    folder = tiny_checkpoints.llama(tmp_path)
    choices = [asked("A man stands in the street."), asked("Two people sit at a table!"), asked("她走进房间。")]
    chooser = build(LlmConfig(source=str(folder), dtype="float32"))
    assert isinstance(chooser, LikelihoodChooser)
    said = chooser.choose(choices)
    assert set(said) <= set(SIZES)
    assert chooser.choose(list(reversed(choices))) == list(reversed(said))


def test_a_server_is_held_to_the_options_and_says_nothing_where_it_does_not_keep_to_them() -> None:
    def answer(one: Asked) -> Said:
        assert one.body["response_format"]["json_schema"]["schema"]["properties"]["choice"]["enum"] == list(SIZES)
        return Said(json.dumps({"choice": "close-up" if "face" in one.prompt else "a drone"}))

    with ChatServer(answer) as server:
        config = OpenAiWriterConfig(server=ServerConfig(base_url=server.url, model="m", answers=2))
        chooser = build(config)
        assert isinstance(chooser, ServerChooser)
        assert chooser.choose([asked("Her face."), asked("A road.")]) == ["close-up", ""]


@pytest.mark.slow
def test_the_packaged_model_answers_with_an_option() -> None:
    chooser = LikelihoodChooser(LlmConfig(source="smollm2", dtype="float32"))
    assert chooser.choose([asked("Tears run down her face.")])[0] in SIZES

"""Script writers arrange captions as Characters, Scene Elements and Plots (the paper's Fig. 16).

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.writer.film import FilmWriter, FilmWriterConfig
from models.writer.llm import LlmConfig, LlmWriter
from models.writer.openai import OpenAiWriter, OpenAiWriterConfig
from models.writer.smollm2 import SmolLm2Config, SmolLm2Writer
from models.writer.template import TemplateConfig, TemplateWriter
from models.writer.writer import PROMPTS, OwnWords, ScriptFacts, ScriptWriter

WriterConfig = Annotated[
    TemplateConfig | FilmWriterConfig | SmolLm2Config | LlmConfig | OpenAiWriterConfig, Field(discriminator="kind")
]


def build(config: WriterConfig) -> ScriptWriter:
    """The script writer that `config` describes."""
    match config:
        case TemplateConfig():
            return TemplateWriter()
        case FilmWriterConfig():
            return FilmWriter()
        case SmolLm2Config():
            return SmolLm2Writer(config)
        case LlmConfig():
            return LlmWriter(config)
        case OpenAiWriterConfig():
            return OpenAiWriter(config)


__all__ = [
    "PROMPTS",
    "FilmWriterConfig",
    "LlmConfig",
    "OpenAiWriterConfig",
    "OwnWords",
    "ScriptFacts",
    "ScriptWriter",
    "SmolLm2Config",
    "TemplateConfig",
    "WriterConfig",
    "build",
]

"""One place decides which ffmpeg is used, and what it must be able to do."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from storage.errors import ConfigError
from storage.movies import encoder
from storage.movies.encoder import Ffmpeg, ffmpeg_binary, ffmpeg_program, require_encoder


def program(path: Path, answer: str) -> Path:
    """A program that answers anything with some words."""
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.delenv("MOVIEDREAMER_FFMPEG", raising=False)
    return lambda path: monkeypatch.setenv("MOVIEDREAMER_FFMPEG", str(path))


def test_what_is_on_the_path_is_not_used(chosen, monkeypatch, tmp_path):
    mine = ffmpeg_program()
    program(tmp_path / "ffmpeg", "ffmpeg version 3.4")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "ffmpeg"))
    assert ffmpeg_program() == mine
    assert Path(mine.path).is_absolute()
    assert require_encoder() == mine


def test_the_one_that_is_named_is_used_by_its_path_or_its_name(chosen, monkeypatch, tmp_path):
    other = program(tmp_path / "other", "ffmpeg version 5.1.9-0+deb12u1 Copyright\nconfiguration: --enable-libx264")
    chosen(other)
    assert require_encoder() == Ffmpeg(str(other), "5.1.9-0+deb12u1", x264=True)
    chosen("other")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert ffmpeg_binary() == str(other)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (
            "ffmpeg version 4.3.6-0+deb11u1 --enable-libx264",
            "ffmpeg 4.3.6-0.deb11u1 .*other. is too old to write movies",
        ),
        ("ffmpeg version n7.0 --disable-gpl", "ffmpeg n7.0 .*other. has no libx264 to write movies"),
        ("sh: hello", "other' is not ffmpeg: it answers 'sh: hello"),
        (None, "MOVIEDREAMER_FFMPEG='.*other' is not a program"),
    ],
)
def test_one_that_cannot_write_movies_is_named_with_the_cure(chosen, tmp_path, answer, fault):
    if answer:
        program(tmp_path / "other", answer)
    chosen(tmp_path / "other")
    with pytest.raises(ConfigError, match=f"{fault}.*: unset MOVIEDREAMER_FFMPEG to use the bundled one"):
        require_encoder()


def test_one_that_never_answers_is_given_up(chosen, monkeypatch, tmp_path):
    monkeypatch.setattr(encoder, "_ANSWER_LIMIT", 0.1)
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    silent.chmod(0o755)
    chosen(silent)
    with pytest.raises(ConfigError, match=r"silent' does not say its version within 0\.1 s: unset MOVIEDREAMER_FFMPEG"):
        ffmpeg_program()


def test_one_that_reads_its_standard_input_finds_none(chosen, tmp_path):
    (tmp_path / "reader").write_text("#!/bin/sh\nexec cat\n")
    (tmp_path / "reader").chmod(0o755)
    chosen(tmp_path / "reader")
    with pytest.raises(ConfigError, match="reader' is not ffmpeg: it answers ''"):
        ffmpeg_program()


@pytest.mark.parametrize("named", ["./other", "bin/other", "~/other"])
def test_a_relative_path_is_refused_and_a_relative_folder_of_the_path_is_made_absolute(
    chosen, monkeypatch, tmp_path, named
):
    monkeypatch.chdir(tmp_path)
    program(tmp_path / "other", "ffmpeg version 7.0")
    chosen(named)
    with pytest.raises(ConfigError, match=f"'{named}' is a relative path: write the whole one"):
        ffmpeg_binary()
    chosen("other")
    monkeypatch.setenv("PATH", ".")
    assert ffmpeg_binary() == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("version", "new"),
    [
        *(
            ("4.4.2-0ubuntu0.22.04.1", False),
            ("5.1.9-0+deb12u1", False),
            ("6.0", True),
            ("n9.0.2-17-g2a571b6068", True),
        ),
        *(("10.1-static", True), ("N-109468-gd39b34123d", True), ("2026-01-05-git-2892815c45-full", True)),
    ],
)
def test_versions_are_compared_as_numbers_and_builds_between_them_are_new(version, new):
    assert Ffmpeg("ffmpeg", version, x264=True).since(6, 0) is new


@pytest.mark.parametrize("installed", [True, False])
def test_without_a_bundled_ffmpeg_the_cure_is_named_whatever_is_on_the_path(chosen, monkeypatch, tmp_path, installed):
    package = ModuleType("imageio_ffmpeg")
    package.__spec__ = ModuleSpec("imageio_ffmpeg", None, origin=str(tmp_path), is_package=True)
    package.__spec__.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package if installed else None)
    program(tmp_path / "ffmpeg", "ffmpeg version 7.0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ConfigError, match="make setup"):
        ffmpeg_binary()

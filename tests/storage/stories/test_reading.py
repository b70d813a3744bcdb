import codecs
import contextlib
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import ConfigError
from storage.stories import nodes, reading
from storage.stories.story import Line, Story
from storage.stories.writing import yaml_text


def parse(text: str, name: str = "story.yaml") -> Story:
    return reading.parse(text.encode(), name)


def fault(text: str, name: str = "story.yaml") -> str:
    with pytest.raises(ConfigError) as told:
        parse(text, name)
    return str(told.value)


FULL = """\
title: The light
language: en
style: oil painting
seed: 7
cast:
- name: Ada
  description: A woman in a red coat.
- Bo
- Cleo: A girl with a lamp.
places:
  Old Harbour: A harbour with a lighthouse.
  Attic:
props: the lamp
scenes:
- title: Evening
  place: Old Harbour
  mood: calm
  shots:
  - plot: Ada looks at the sea.
    characters: Ada
    size: wide shot
    seconds: 2.5
    dialogue:
    - Ada: Where is he?
    - Bo: Here.
    narration: Night falls.
  - cut: no
    plots: [Bo comes in., Bo stops.]
    characters: [Bo, Ada]
    props: [the lamp]
    seed: 12
    temperature: .8
    guidance: 3
  - The lamp goes out.
- place: Attic
  shots:
  - lines:
    - speaker: Cleo
      text: Hush.
    - And then it was quiet.
    - Bo: [Yes., No.]
"""


def test_a_story_with_every_field_and_every_short_form_is_read():
    story = parse(FULL)
    ada, bo, cleo = story.cast
    assert (ada.description, bo.name, cleo.description) == ("A woman in a red coat.", "Bo", "A girl with a lamp.")
    assert [place.name for place in story.places] == ["Old Harbour", "Attic"]
    first, second, third, fourth = (placed.shot for placed in story.shots())
    assert (first.characters, first.plots, first.size, first.seconds) == (
        ("Ada",),
        ("Ada looks at the sea.",),
        "wide shot",
        2.5,
    )
    assert first.lines == (
        Line(speaker="Ada", text="Where is he?"),
        Line(speaker="Bo", text="Here."),
        Line(text="Night falls."),
    )
    assert (second.cut, second.plots, second.props) == (False, ("Bo comes in.", "Bo stops."), ("the lamp",))
    assert (second.seed, second.temperature, second.guidance) == (12, 0.8, 3)
    assert third.plots == ("The lamp goes out.",)
    assert [(line.speaker, line.text) for line in fourth.lines] == [
        ("Cleo", "Hush."),
        ("", "And then it was quiet."),
        ("Bo", "Yes."),
        ("Bo", "No."),
    ]


def test_the_same_story_is_read_from_json_and_with_any_encoding_and_line_ends():
    story = parse(FULL)
    yaml_like = json.dumps(
        {"title": "The light", "scenes": [{"shots": ["Ada \U0001f600", {"plot": "b", "size": None}]}]}, indent="\t"
    )
    assert [placed.shot.plots for placed in parse(yaml_like, "story.json").shots()] == [("Ada \U0001f600",), ("b",)]
    for data in (
        codecs.BOM_UTF8 + FULL.encode(),
        FULL.encode("utf-16"),
        FULL.encode("utf-16-le"),
        FULL.encode("utf-16-be"),
        FULL.encode("utf-32"),
        FULL.replace("\n", "\r\n").encode(),
        FULL.replace("\n", "\r").encode(),
    ):
        assert reading.parse(data, "story.yml") == story


ODD = ["No", "On", "Null", "~", "yes", "12:30", "1e3", "=", "<<", "1984", "0x1F", "0o7", "1_000", ".inf", ".nan"]
ODD += ["2026-11-30", "3.14", "-1", "+5", "true", "TRUE", "null", "y", "n", "0", "010", "1.", "190:20:30", "!", "."]
ODD += [
    "NULL",
    "OFF",
    "0b1010",
    "685.230_15e+03",
    "-.INF",
    "1e400",
    "-0",
    "2001-12-14t21:59:43.10-05:00",
    "None",
    "NaN",
]
ODD += ["---", "...", "--", "-x", ";", "/", "\\", "==", "->", "$5", "5%", "^", "1984.", "１９８４", "½", "Ⅳ", "∞"]


@pytest.mark.parametrize("scalar", [one for one in ODD if one != "!"])
def test_odd_scalars_stay_the_text_that_they_are(scalar):
    text = f"title: {scalar}\ncast: [{scalar}]\nplaces:\n- {scalar}: {scalar}\nscenes:\n- place: {scalar}\n  shots:\n"
    story = parse(text + f"  - plot: {scalar}\n    characters: {scalar}\n    dialogue: {{{scalar}: {scalar}}}\n")
    assert story.title == story.cast[0].name == story.places[0].name == story.places[0].description == scalar
    shot = story.scenes[0].shots[0]
    assert (shot.characters, shot.plots, shot.lines) == ((scalar,), (scalar,), (Line(speaker=scalar, text=scalar),))


@pytest.mark.parametrize("scalar", [*ODD, *"-?,|>'\"*&@#%`:", "{}", "[]", "x: y", "a #b", "x:", "!!int 3"])
def test_odd_scalars_stay_text_in_json_strings_and_when_they_are_written_as_yaml(scalar):
    given = {"title": scalar, "cast": [scalar], "scenes": [{"shots": [{"plot": scalar, "characters": scalar}]}]}
    story = parse(json.dumps(given), "story.json")
    shot = story.scenes[0].shots[0]
    assert story.title == story.cast[0].name == shot.characters[0] == shot.plots[0] == scalar
    assert parse(yaml_text(story)) == story


@pytest.mark.parametrize("scalar", ODD)
def test_odd_scalars_stay_text_in_markdown(scalar):
    top = f"---\ntitle: x\ncast: [{json.dumps(scalar)}]\n---\n\n"
    story = parse(f"{top}# {scalar}\n\nThis is {scalar}\n\n> {scalar}: {scalar}\n", "story.md")
    (scene,) = story.scenes
    assert (scene.title, scene.shots[0].plots) == (scalar, (f"This is {scalar}",))
    assert scene.shots[0].lines == (Line(speaker=scalar, text=scalar),)


def test_jsons_null_is_nothing_and_its_numbers_and_truth_values_are_text_as_they_are_written():
    shots = '[{"plots": [null, true, 1e400, "null"]}, null]'
    story = parse(f'{{"title": 1984, "style": null, "scenes": [{{"shots": {shots}}}]}}', "story.json")
    assert (story.title, story.style) == ("1984", "")
    assert [shot.plots for shot in story.scenes[0].shots] == [("true", "1e400", "null")]


@pytest.mark.parametrize(
    ("given", "cut"), [("false", False), ("No", False), ("off", False), ("true", True), ("Yes", True), ("on", True)]
)
def test_only_a_field_that_is_true_or_false_reads_words_as_such(given, cut):
    story = parse(f"title: x\nscenes:\n- shots:\n  - a\n  - plot: b\n    cut: {given}\n")
    assert story.scenes[0].shots[1].cut is cut


SHOT = "title: x\ncast: [Ada, Bo]\nplaces: [Harbour]\nscenes:\n- shots:\n  - plot: a\n    "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("just words", "line 1: 'just words' was found, a story was expected"),
        ("- a\n- b", "line 1: a list of 2 was found, a story was expected"),
        ("title: x", "line 1: `scenes` is missing here: add it"),
        ("scenes: [{shots: [a]}]", "line 1: `title` is missing here: add it"),
        ("title: x\nscenes: []", "line 2: it has no scenes"),
        ("title: x\nscenes:\n- shots:", "line 3: this scene has no shots"),
        ("title: x\nscenes:\n- shots: [{}]", "line 3: this shot is empty"),
        ("title: x\nscenes:\n- shots:\n  - cut: false", "nothing to go on from"),
        ("title: x\ntitle: y\n", "line 2: 'title' already appears in line 1: join the two"),
        ("titel: x\nscenes: [{shots: [a]}]", "found 'titel', which a story doesn't have: did you mean 'title'?"),
        ("title: x\nlanguage: English\n", "expected an ISO 639 code such as en"),
        ("title: x\ncast: [Ada, Ada]\n", "line 2: 'Ada' already appears in line 2"),
        ("title: x\ncast:\n- name: Ada\n  descripton: y\n", "line 4: found 'descripton'"),
        ("title: x\ncast:\n- name: ''\n", "line 3: name: string should have at least 1 character"),
        ("title: x\n---\ntitle: y\n", "line 2: a second document begins"),
        ("title: Ada: the movie\n", "line 1: YAML can't read 'title: Ada: the movie'"),
        ("title: 'x\n", "put quotes around a text"),
        ("title: *bang\n", "line 1: *bang is an alias"),
        ("title: *bang*\n", "line 1: YAML can't read"),
        ("title: &bang x\n", "line 1: &bang is an anchor"),
        ("title: !!python/object:os.system x\n", "is a tag"),
        ("title: !bang\n", "'!bang' is a tag"),
        ("title: Room #5 is empty\n", "line 1: 'Room' ends before '#5 is empty', a comment for YAML"),
        ("title: x\nscenes:\n- shots:\n  - #5 is alive\n", "line 4: '' ends before '#5 is alive'"),
        ("? [a, b]\n: x\n", "a key is a list"),
        ("title: x\n  y: z\n", "line 2: YAML can't read"),
        ("title: x\nscenes:\n\t- shots: [a]\nplaces:\n  - b\n", "line 3: it begins with a tab, and line 5 with spaces"),
        (SHOT + "characters: [Ida]", "line 7: no member of the cast is called 'Ida': did you mean 'Ada'?"),
        (SHOT + "characters: [ada]", "did you mean 'Ada'?"),
        (SHOT + "characters: Ada and Bo", "write a list, [Ada, Bo]"),
        (SHOT + "props: [lamp]", "no prop is called 'lamp': add props, with this name"),
        (SHOT + "dialogue: [Hello.]", "nobody is said to speak this"),
        (SHOT + "dialogue: {Ado: Hello.}", "no member of the cast is called 'Ado'"),
        (SHOT + "narration: {Well: then}", "put quotes around a text with a colon"),
        (
            "title: x\nscenes:\n- shots:\n  - Ada says: hello\n",
            "found 'Ada says', which a shot doesn't have: if it is the beginning",
        ),
        (SHOT + "plots: [b]", "line 7: 'plots' repeats a field above it"),
        (SHOT + "seconds: 12:30", "line 7: found '12:30', expected a number such as 2.5"),
        (SHOT + "seconds: .inf", "found '.inf', expected a number"),
        (SHOT + "seconds: nan", "found 'nan', expected a number"),
        (SHOT + "seconds: 0", "seconds: input should be greater than 0, got '0'"),
        (SHOT + "seconds: 1e9", "too long: at most 3600"),
        (SHOT + "seconds: ٣", "expected a number"),
        (SHOT + "seed: 1.5", "found '1.5', expected a whole number"),
        (SHOT + f"seed: {'9' * 5000}", "expected a whole number from 0, of at most 18 digits"),
        (SHOT + "cut: maybe", "found 'maybe', expected true or false"),
        (SHOT + "size: [a]", "a list of 1 was found, one text was expected"),
        (SHOT.replace("- shots", "- place: Harbor\n  shots") + "size: x", "did you mean 'Harbour'?"),
        ("title: " + "x" * 201, "has 201 characters: at most 200"),
        ('title: "\\e[2J"', "line 1: found the control character U+001B"),
        ("title: a\u2028b", "line 1: found the control character U+2028 behind 'title: a'"),
        ("title: \x00", "line 1: found the control character U+0000"),
        ("title: x\nstyle: a\x1b[31mred", "line 2: found the control character U+001B behind 'style: a': remove it"),
    ],
)
def test_a_fault_names_file_line_what_was_found_and_the_cure(text, said):
    told = fault(text)
    assert told.startswith("story.yaml")
    assert said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"title": "x",}', "line 1: this is not JSON"),
        ('{"title": "x"\n "scenes": []}', "line 2: this is not JSON"),
        ('{"title": "x", "title": "y"}', "'title' already appears"),
        ('{"title": "x", "\\u0074itle": "y"}', "'title' already appears"),
        ('{"title": "x", "cast": [{"name": "Ada", "name": null}]}', "'name' already appears"),
        ('{"keyframes": [{"plots": ["a"], "plots": ["b"]}]}', "'plots' already appears"),
        ('{"title": "\\ud83d"}', "found the control character U+D83D"),
        ('{"title": "\\u0000"}', "found the control character U+0000"),
        ("[" * 100_000, "nested deeper than 16 levels"),
        ("[" * 100 + "]" * 100, "nested deeper than 16 levels"),
        ('{"title": NaN, "seed": NaN, "scenes": [{"shots": ["a"]}]}', "found 'NaN', expected a whole number"),
    ],
)
def test_json_has_the_same_faults(text, said):
    assert said in fault(text, "story.json")


def test_all_faults_of_a_file_are_told_together_in_order_of_their_lines():
    told = fault("title: x\nscenes:\n- place: Nowhere\n  shots:\n  - plot: a\n    characters: [Ada]\n    hue: red\n")
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "story.yaml, line 3",
        "story.yaml, line 6",
        "story.yaml, line 7",
    ]
    many = "".join(f"  - plot: a\n    characters: [P{i}]\n" for i in range(500))
    assert len(fault(f"title: x\ncast: [Ada]\nscenes:\n- shots:\n{many}").splitlines()) <= 21


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000, "a: &a [*a]"])
def test_no_nesting_and_no_alias_takes_the_reader_down(text):
    assert fault(text)


def test_bytes_that_are_no_unicode_are_told_with_their_line():
    with pytest.raises(ConfigError, match="line 2: bytes e9 are not UTF-8: save the file as UTF-8"):
        reading.parse("title: x\nstyle: café".encode("latin-1"), "story.yaml")


def test_names_are_compared_in_nfc_and_spaces_do_not_count():
    text = "title: x\ncast: ['Zoë  Ash']\nscenes:\n- shots:\n  - plot: a\n    characters: [Zoë Ash]\n"
    story = parse(unicodedata.normalize("NFD", text))
    assert story.scenes[0].shots[0].characters == (story.cast[0].name,) == (unicodedata.normalize("NFC", "Zoë Ash"),)


def test_a_block_of_lines_is_as_many_plots_and_a_folded_one_is_one():
    story = parse(
        "title: x\nscenes:\n- shots:\n  - plot: |\n      One.\n\n      Two.\n  - plot: >\n      One\n      and two.\n"
    )
    assert [shot.plots for shot in story.scenes[0].shots] == [("One.", "Two."), ("One and two.",)]


def test_tabs_indent_as_an_editor_shows_them():
    story = parse("title: x\nscenes:\n\t- place:\n\t  shots:\n\t\t-\tplot: a\n\t\t\tseed: 3\n\t\t-\tplot:\tb\n")
    assert [(shot.plots, shot.seed) for shot in story.scenes[0].shots] == [(("a",), 3), (("b",), None)]


def test_thousands_of_shots_are_read():
    shots = "".join(f"  - plot: Ada is at mile {i}.\n    characters: [Ada]\n" for i in range(5000))
    assert len(parse(f"title: x\ncast: [Ada]\nscenes:\n- shots:\n{shots}").scenes[0].shots) == 5000


def test_what_is_too_large_is_refused_by_its_size(tmp_path: Path):
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(reading.MOST_BYTES + 1)
    with pytest.raises(ConfigError, match="a story has at most"):
        reading.read(tmp_path / "big.yaml")
    with pytest.raises(ConfigError, match="a story has at most"):
        reading.parse(b"x" * (reading.MOST_BYTES + 1), "big.yaml")
    assert "split the story" in fault(
        f"title: x\ncast: [{', '.join(map(str, range(10_001)))}]\nscenes: [{{shots: [a]}}]"
    )


@pytest.mark.parametrize(
    ("name", "said"), [("story.txt", "`moviedreamer write`"), ("story.docx", "save it as YAML"), ("story", "save it")]
)
def test_other_endings_are_told(name, said):
    assert said in fault("title: x", name)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path):
    for path in (tmp_path / "none.yaml", tmp_path, Path("x" * 5000)):
        with pytest.raises(ConfigError, match=r"there is no file|can't be read"):
            reading.read(path)


def test_pictures_and_music_must_be_in_the_folder_of_the_story(tmp_path: Path):
    (tmp_path / "secret.jpg").write_bytes(b"x")
    folder = tmp_path / "story"
    (folder / "photographs").mkdir(parents=True)
    (folder / "photographs" / unicodedata.normalize("NFD", "Zoë.jpg")).write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "out").symlink_to(tmp_path)

    def read(picture: str) -> Story:
        quoted = json.dumps(picture)
        text = f"title: x\ncast:\n- name: Ada\n  photographs: [{quoted}]\nscenes: [{{shots: [a]}}]\n"
        (folder / "story.yaml").write_text(text)
        return reading.read(folder / "story.yaml")

    found = read(unicodedata.normalize("NFC", "photographs/Zoë.jpg"))
    assert found.cast[0].pictures == (unicodedata.normalize("NFC", "photographs/Zoë.jpg"),)
    for picture, said in [
        ("photographs/Zoe.jpg", "line 4: there is no file 'Zoe.jpg'"),
        ("photographs", "is no file"),
        ("../secret.jpg", "leaves the story's folder"),
        ("photographs/../../secret.jpg", "leaves the story's folder"),
        ("..\\secret.jpg", "leaves the story's folder"),
        (str(tmp_path / "secret.jpg"), "is an absolute path"),
        ("C:\\secret.jpg", "is an absolute path"),
        ("\\\\server\\secret.jpg", "is an absolute path"),
        ("~/secret.jpg", "is an absolute path"),
        ("https://example.org/ada.jpg", "is an address"),
        ("file:///etc/passwd", "is an address"),
        ("link.jpg", "is a link out of the story's folder"),
        ("out/secret.jpg", "is a link out of the story's folder"),
        ("x" * 5000, "can't be opened"),
    ]:
        with pytest.raises(ConfigError) as told:
            read(picture)
        assert said in str(told.value)
    (folder / "story.yaml").write_text("title: x\nmusic: ../secret.mp3\nscenes: [{shots: [a]}]\n")
    with pytest.raises(ConfigError, match=r"line 2: '\.\./secret\.mp3' leaves"):
        reading.read(folder / "story.yaml")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_stands_in_a_file_is_a_story_or_a_fault(data: st.DataObject):
    pieces = st.sampled_from(
        ["- ", ": ", "\n", "  ", "\t", "[", "]", "{", "}", "'", '"', "#", "&a", "*a", "|", "!", "?", "=", "\r"]
    )
    at = data.draw(st.integers(0, len(FULL)))
    until = data.draw(st.integers(at, min(len(FULL), at + 20)))
    text = FULL[:at] + data.draw(pieces | st.text(max_size=5)) + FULL[until:]
    name = data.draw(st.sampled_from(["story.yaml", "story.md", "story.json"]))
    with contextlib.suppress(ConfigError):
        assert reading.parse(text.encode("utf-8", "surrogatepass"), name).scenes


def test_one_endless_line_and_a_million_faults_end_soon(monkeypatch):
    monkeypatch.setattr(nodes, "MOST_VALUES", 50_000)
    assert "values: split the story" in fault(f"title: [{'a,' * 60_000}]")
    assert "a list of 40000 was found, one text was expected" in fault(f"title: [{'a,' * 40_000}]")
    assert len(fault(f"title: x\nscenes: [{'a,' * 40_000}]").splitlines()) == 21

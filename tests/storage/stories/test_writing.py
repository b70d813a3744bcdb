import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.stories.reading import parse
from storage.stories.story import Line, Named, Scene, Shot, Story
from storage.stories.text import normal
from storage.stories.writing import yaml_text

ODD = st.sampled_from(
    ["No", "On", "Null", "~", "12:30", "1e3", "=", "1984", "- a", "#5", "a: b", "*x", "'", "text", "name"]
)
LETTERS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff\ufff9\ufffa\ufffb")
)
TEXT = (ODD | LETTERS).map(normal)
SAID = TEXT.filter(bool)
NAME = SAID.map(lambda text: normal(text[:40])).filter(bool)
NUMBER = st.none() | st.floats(0, 1e6).map(lambda number: round(number, 3))
FILES = st.lists(st.sampled_from(["ada.jpg", "photographs/Zoë.png"]), unique=True).map(tuple)


def named() -> st.SearchStrategy[tuple[Named, ...]]:
    one = st.builds(Named, name=NAME, description=TEXT, pictures=FILES)
    return st.lists(one, max_size=3, unique_by=lambda one: one.name).map(tuple)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    cast, places, props = draw(named()), draw(named()), draw(named())

    def some(these: tuple[Named, ...]) -> st.SearchStrategy[tuple[str, ...]]:
        names = [one.name for one in these]
        return st.lists(st.sampled_from(names), unique=True).map(tuple) if names else st.just(())

    speaker = st.sampled_from(["", *(one.name for one in cast)])
    shot = st.builds(
        Shot,
        characters=some(cast),
        props=some(props),
        size=TEXT,
        plots=st.lists(SAID, min_size=1, max_size=3).map(tuple),
        seconds=st.none() | st.floats(0.001, 3600).map(lambda number: round(number, 3)),
        lines=st.lists(st.builds(Line, speaker=speaker, text=SAID), max_size=3).map(tuple),
        cut=st.booleans(),
        seed=st.none() | st.integers(0, 10**18 - 1),
        temperature=NUMBER,
        guidance=NUMBER,
    )
    place = st.sampled_from(["", *(one.name for one in places)])
    scene = st.builds(
        Scene, title=NAME | st.just(""), place=place, mood=TEXT, shots=st.lists(shot, min_size=1, max_size=3).map(tuple)
    )
    return draw(
        st.builds(
            Story,
            title=NAME,
            language=st.sampled_from(["en", "no", "de"]),
            style=TEXT,
            seed=st.integers(0, 10**18 - 1),
            continues=SAID,  # so that the first shot may go on
            cast=st.just(cast),
            places=st.just(places),
            props=st.just(props),
            scenes=st.lists(scene, min_size=1, max_size=2).map(tuple),
        )
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(stories())
def test_what_is_written_reads_back_as_the_same_story(story):
    assert parse(yaml_text(story).encode(), "story.yaml") == story


def test_comments_stand_above_their_shots_and_cannot_break_out():
    scene = Scene(shots=(Shot(plots=("a", "b")), Shot(plots=("c",), lines=(Line(text="x"), Line(text="y")))))
    story = Story(title="scenes:", scenes=(scene, Scene(shots=(Shot(plots=("d",)),))))
    text = yaml_text(story, {1: "one", 3: "three\n- plot: injected"}, "made of a synopsis\nby rules")
    assert text.startswith("# made of a synopsis\n# by rules\ntitle: 'scenes:'\n")
    assert "  # one\n  - plots:\n    - a\n" in text
    assert "  # three\\x0a- plot: injected\n  - plot: d\n" in text.replace("\\n", "\\x0a")
    assert parse(text.encode(), "story.yaml") == story
    assert unicodedata.is_normalized("NFC", text)

"""What comes from outside is shown in Markdown as it is written, and links lead wherever a storage is."""

import html

import pytest
from markdown_it import MarkdownIt

from flows.display.shown import in_markdown, link


@pytest.mark.parametrize(
    "title",
    [
        *("M*A*S*H", "_one_ `two`", "~~out~~", "[REC]", "1. 2 # 3", "A & B &lt;", "back\\slash", "a | b - c + d"),
        *("![x](http://tracker/x.png)", "[click](http://there)", "<img src=x onerror=y>", "a]( <b> )"),
    ],
)
def test_a_title_is_shown_as_it_is_written(title: str) -> None:
    assert html.unescape(MarkdownIt().render(f"x {in_markdown(title)}")) == f"<p>x {title}</p>\n"


def test_control_characters_are_escaped_there_too() -> None:
    assert in_markdown("a\x1b\n# b") == "a\\\\x1b\\\\n\\# b"


def test_a_link_leads_to_places_with_blanks_and_brackets() -> None:
    made = MarkdownIt().render(link("the [page]", "/my store (1)/a<b>.html"))
    assert made == '<p><a href="/my%20store%20(1)/a%3Cb%3E.html">the [page]</a></p>\n'

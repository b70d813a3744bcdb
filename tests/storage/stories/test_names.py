import pytest

from storage.stories.names import finder


@pytest.mark.parametrize(
    ("names", "text", "found"),
    [
        (["Ada", "Bo"], "Bo and Ada, then Bo.", ["Bo", "Ada"]),
        (["Ada", "Ada Lovelace"], "Ada Lovelace came. Ada left.", ["Ada Lovelace", "Ada"]),
        (["Will"], "I will. Will's coat. Willow.", ["Will"]),
        (["On", "No"], "Once, nobody was on it.", []),
        (
            ["Mr. Hale", "O'Neil", "Jean-Luc"],
            "Mr. Hale met Jean-Luc and O'Neil's dog.",
            ["Mr. Hale", "Jean-Luc", "O'Neil"],
        ),
        (["艾达", "Bo"], "艾达在海边等Bo。", ["艾达"]),
        (["艾达", "艾达丽"], "艾达丽来了。", ["艾达丽"]),
        (["=", "1e3", "12:30"], "= 1e3 at 12:30", ["=", "1e3", "12:30"]),
        ([], "Ada", []),
        (["Ada"], "", []),
    ],
)
def test_names_are_found_as_whole_words_in_order(names, text, found):
    assert finder(names)(text) == found

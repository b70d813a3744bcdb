"""Layouts of results: what goes in comes out equal, and what can't be placed is named."""

import pytest

from storage.errors import ConfigError
from storage.results import msvbench, results, systems, vbench, vistorybench
from storage.results.results import Result


def fill(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return root


def tree(root):
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


RUN = "ours/base/en/20261130_093000"
SHOTS = [f"{RUN}/shots/{story}/shot_{number:02d}.png" for story in ("01", "12") for number in (1, 2, 10)]


@pytest.mark.parametrize(
    "layout",
    [
        f"{RUN}/shots/{{story}}/shot_{{number:02d}}.png",
        f"{RUN}/{{story}}/shots/shot_{{number:02d}}.png",
        "ours/base/en/20261130-093000/{story}/{number:02d}.png",
        "ours/en/base/20261130_093000/{story}/shots/shot-{number}.jpg",
    ],
)
def test_a_folder_of_vistorybench_goes_in_and_comes_out_equal(tmp_path, layout):
    names = [layout.format(story=story, number=number) for story in ("01", "12") for number in (1, 2, 10)]
    given = fill(tmp_path / "given", *names)
    (run,) = vistorybench.read(given)
    assert (run.method, run.mode, run.language) == ("ours", "base", "en")
    assert [result.story for result in run.results] == ["01", "12"]
    assert [file.read_bytes().decode() for file in run.results[0].files] == names[:3]
    vistorybench.write(run, tmp_path / "made")
    assert tree(tmp_path / "made") == tree(given)


@pytest.mark.parametrize(
    "layout",
    ["m/base/en/20261130_093000/shots/1/", "m/base/en/20261130-093000/1/shots/", "m/en/base/20261130_093000/1/"],
)
def test_all_orders_of_vistorybench_are_read(tmp_path, layout):
    (run,) = vistorybench.read(fill(tmp_path, f"{layout}a_1.png", f"{layout}a_2.jpg"))
    assert (run.method, run.mode, run.language) == ("m", "base", "en")
    assert [(result.story, len(result.files)) for result in run.results] == [("1", 2)]


def test_the_latest_run_of_vistorybench_counts(tmp_path):
    times = "20261130-093000", "20261129_235959"
    (run,) = vistorybench.read(fill(tmp_path, *(f"m/base/en/{time}/shots/1/a_1.png" for time in times)))
    assert run.time == times[0]


def test_files_keep_their_order_in_vistorybench_whatever_they_are_called(tmp_path):
    (given,) = results.read(fill(tmp_path / "given", "s/x_2.png", "s/5.png", "s/cut 10.png"))
    run = vistorybench.Run("m", "base", "en", "20261130_093000", (given,))
    vistorybench.write(run, tmp_path / "made")
    (again,) = vistorybench.read(tmp_path / "made")
    assert [file.read_bytes() for file in again.results[0].files] == [b"s/x_2.png", b"s/5.png", b"s/cut 10.png"]
    assert again.results[0].files[0].relative_to(tmp_path / "made" / "m").parts[3:] == ("s", "shots", "s_01.png")


def test_what_vistorybench_does_not_read_is_refused(tmp_path):
    file = fill(tmp_path, "a.mp4") / "a.mp4"
    with pytest.raises(ConfigError, match="languages are en and ch, not 'de'"):
        vistorybench.write(vistorybench.Run("m", "base", "de", "20261130_093000", ()), tmp_path)
    with pytest.raises(ConfigError, match="'today' is not a time such as '20261130_093000'"):
        vistorybench.write(vistorybench.Run("m", "base", "en", "today", ()), tmp_path)
    with pytest.raises(ConfigError, match="story '1' is a video"):
        vistorybench.write(vistorybench.Run("m", "base", "en", "20261130_093000", (Result("1", (file,)),)), tmp_path)
    with pytest.raises(ConfigError, match="holds no <method>"):
        vistorybench.read(tmp_path)


def test_movies_go_through_vbench(tmp_path):
    given = fill(tmp_path / "given", "A boat, at night/1.mp4", "A boat, at night/2.mp4", "rail/7.mp4")
    movies = results.read(given)
    made = vbench.write(movies, tmp_path / "made")
    assert [file.name for file in made] == ["A boat, at night-0.mp4", "A boat, at night-1.mp4", "rail-0.mp4"]
    again = vbench.read(tmp_path / "made")
    assert [(one.story, [file.read_bytes() for file in one.files]) for one in again] == [
        (one.story, [file.read_bytes() for file in one.files]) for one in movies
    ]
    with pytest.raises(ConfigError, match="is not empty"):
        vbench.write(movies, tmp_path / "made")
    with pytest.raises(ConfigError, match=r"VBench reads mp4, story 's' has 'a\.png'"):
        vbench.write([Result("s", (tmp_path / "a.png",))], tmp_path / "new")


def test_a_storages_movies_go_through_vbench(tmp_path):
    movies = fill(tmp_path / "movies", *(f"ab12/{name}" for name in ("Rain.mp4", "storyboard.html", "about.json")))
    fill(movies, "cd34/Jane 1.mp4", "cd34/Jane 2.mp4", "cd34/storyboard.html")
    given = results.read(movies)
    assert [file.name for file in vbench.write(given, tmp_path / "made")] == [
        "ab12-0.mp4", "cd34 Jane 1-0.mp4", "cd34 Jane 2-0.mp4",
    ]  # fmt: skip
    again = systems.systems(tmp_path / "made", "vbench")["made"]
    assert [(one.story, one.files[0].read_bytes()) for one in again] == [
        (one.story, one.files[0].read_bytes()) for one in given
    ]


def test_the_plain_layout_has_stories_with_plots(tmp_path):
    given = fill(tmp_path / "given", "a/0001.png", "a/0002.png", "b/0001.png")
    (given / "a" / "plots.txt").write_text("Rose stands.\nJack draws.\n")
    (given / "empty").mkdir()
    found = results.read(given)
    assert [(one.story, len(one.files), one.plots) for one in found] == [
        ("a", 2, ("Rose stands.", "Jack draws.")), ("b", 1, ()), ("empty", 0, ()),
    ]  # fmt: skip
    assert found[2].files == ()


def test_movies_go_through_msvbench(tmp_path):
    given = fill(tmp_path / "given", "01/1.mp4", "01/2.mp4", "01/10.mp4", "12/1.mp4")
    msvbench.write(results.read(given), tmp_path / "made")
    again = msvbench.read(tmp_path / "made")
    assert [(one.story, [file.read_bytes() for file in one.files]) for one in again] == [
        ("01", [b"01/1.mp4", b"01/2.mp4", b"01/10.mp4"]),
        ("12", [b"12/1.mp4"]),
    ]
    with pytest.raises(ConfigError, match="is not empty"):
        msvbench.write(again, tmp_path / "made")
    with pytest.raises(ConfigError, match="is not a folder"):
        msvbench.read(tmp_path / "given")


def test_the_movies_of_a_storage_are_read_as_they_are(tmp_path):
    fill(tmp_path, "ab12/movie.mp4", "ab12/storyboard.html", "ab12/poster.jpg", "cd/a.mp4", "cd/b.mp4")
    fill(tmp_path, "cd/storyboard.html")
    assert [one.story for one in results.read(tmp_path)] == ["ab12", "cd a", "cd b"]


def test_each_layout_gives_systems_by_name(tmp_path):
    assert list(systems.systems(fill(tmp_path / "v", *SHOTS), "vistorybench")) == ["ours/base/en"]
    for layout, file in (("plain", "a/1.png"), ("vbench", "a-0.mp4"), ("msvbench", f"{msvbench.FOLDER}/a/1.mp4")):
        ((name, (result,)),) = systems.systems(fill(tmp_path / layout, file), layout).items()
        assert (name, result.story) == (layout, "a")
    with pytest.raises(ConfigError, match="there is no layout 'other': it is one of plain"):
        systems.systems(tmp_path, "other")


def test_a_story_is_found_however_its_accents_are_written(tmp_path):
    found = results.read(fill(tmp_path, "Cafe\u0301/1.png", "b/1.png"))
    assert systems.renamed({"Caf\u00e9": 1, "c": 2}, found) == {"Cafe\u0301": 1, "c": 2}


def test_pictures_of_real_films_need_no_order(tmp_path):
    found = systems.loose(fill(tmp_path, "x.png", "deep/y.jpg", "deep/z.mp4", "notes.txt", ".thumbs/a/x.png"))
    assert [[file.name for file in one.files] for one in found] == [["x.png"], ["y.jpg"], ["z.mp4"]]
    with pytest.raises(ConfigError, match="holds no pictures or videos"):
        systems.loose(fill(tmp_path / "none", "notes.txt"))


def test_a_video_a_story_is_read(tmp_path):
    found = results.read(fill(tmp_path, "story.mp4", "titanic/sample.mp4", "notes.md"))
    assert [(one.story, one.videos) for one in found] == [("story", True), ("titanic", True)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/first.png", "a/2.png"], r"first\.png' has no number in its name"),
        (["a/x1.png", "a/y01.png"], "have the same number"),
        (["a/1.png", "a/2.mp4"], "'a' mixes pictures and videos"),
        (["a/1.png", "a.mp4"], "'a' as a folder and as a video"),
        (["notes.md"], "holds no stories"),
    ],
)
def test_files_without_a_place_are_named(tmp_path, names, said):
    with pytest.raises(ConfigError, match=said):
        results.read(fill(tmp_path, *names))


def test_plots_are_read_as_editors_write_them(tmp_path):
    fill(tmp_path, *(f"a/{number}.png" for number in (1, 2, 3)))
    plots = tmp_path / "a" / "plots.txt"
    for text in ("Rose stands.\r\n\r\nJack draws.\r\n", "Rose stands.\n\nJack draws."):
        for encoding in ("utf-8-sig", "utf-16", "utf-8"):
            plots.write_bytes(text.encode(encoding))
            assert results.read(tmp_path)[0].plots == ("Rose stands.", "", "Jack draws.")
    plots.write_bytes(b"Rose\nstands\xe9\n")
    with pytest.raises(ConfigError, match="line 2: bytes e9 are not UTF-8: save the file as UTF-8"):
        results.read(tmp_path)


def test_plots_that_do_not_match_and_names_that_leave_the_folder_are_refused(tmp_path):
    fill(tmp_path, "a/1.png")
    (tmp_path / "a" / "plots.txt").write_text("one\ntwo\n")
    with pytest.raises(ConfigError, match="'a' has 1 keyframes and 2 plots"):
        results.read(tmp_path)
    with pytest.raises(ConfigError, match=r"'\.\./a' can't name a file"):
        vbench.write([Result("../a", (tmp_path / "b.mp4",))], tmp_path / "new")

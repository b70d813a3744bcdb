"""The layout of Condensed Movies: clips with their movie, wherever the download put them; what is missing is told."""

from storage.films.inputs import found
from storage.tables.rejects import Reject

CLIPS = """videoid,year,clip_idx,clip_tot,upload_year,title,clip_name,imdbid
Sv-BxH3SVS8,2012.0,6,10,2019,Les Misérables,One Day More Scene,tt1707386
IsZdfna1LKA,2012.0,8,10,2019,Les Misérables,Javert's Suicide Scene,tt1707386
2LwWmJojqvM,1979.0,2,10,2018,La Cage aux Folles,"The Parents' Reaction, Scene",tt0077288
gone-gone-1,1994.0,2,10,2018,Blankman,The Pregnant Lady Scene,tt0109288
,1994.0,2,10,2018,Blankman,A Scene without a File,tt0109288
noimdb00000,,1,1,2018,Somewhere,A Scene,
"""
MOVIES = "imdbid,title,year\ntt0077288,La Cage aux Folles,1978.0\n"


def make(folder, videos, metadata="metadata"):
    (folder / metadata).mkdir(parents=True)
    (folder / metadata / "clips.csv").write_text(CLIPS, encoding="utf-8")
    (folder / metadata / "movies.csv").write_text(MOVIES, encoding="utf-8")
    for name in ("2019/Sv-BxH3SVS8.mkv", "2019/IsZdfna1LKA.mp4", "2018/2LwWmJojqvM.webm", "2018/noimdb00000.mkv"):
        (folder / videos / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / videos / name).write_bytes(name.encode())
    return folder


def test_clips_come_with_their_movie_and_missing_ones_as_rejects(tmp_path):
    for place, videos, metadata in (
        ("a", "videos", "metadata"),
        ("b", "data/videos", "metadata"),
        ("c", "", "metadata"),
        ("d", "data/videos", "data/metadata"),
    ):
        films = list(found(str(make(tmp_path / place, videos, metadata))))
        named = [one for one in films if not isinstance(one, Reject)]
        assert [one.source.rsplit("/", 1)[-1] for one in named] == [
            "Sv-BxH3SVS8.mkv",
            "IsZdfna1LKA.mp4",
            "2LwWmJojqvM.webm",
            "noimdb00000.mkv",
        ]
        assert [one.said.movie for one in named] == ["tt1707386", "tt1707386", "tt0077288", "Somewhere ()"]
        assert [one.said.year for one in named] == [2012, 2012, 1978, 0]
        assert named[2].said.title == "La Cage aux Folles: The Parents' Reaction, Scene"
        assert named[0].said.origin == "https://www.youtube.com/watch?v=Sv-BxH3SVS8"
        missing, bad = [one for one in films if isinstance(one, Reject)]
        assert (missing.reason, "row 5: no file 'gone-gone-1'" in missing.detail) == ("missing", True)
        assert (bad.reason, "row 6, column 'videoid'" in bad.detail) == ("bad_row", True)


def test_a_row_that_is_no_csv_costs_itself(tmp_path):
    folder = make(tmp_path, "videos")
    (folder / "metadata" / "clips.csv").write_text(f"{CLIPS}{'x' * 200_000},2012.0\n2LwWmJojqvM,,,,2018,La Cage,,\n")
    (folder / "metadata" / "movies.csv").write_text(f"{MOVIES}tt1,{'x' * 200_000}\n")
    films = list(found(str(folder)))
    bad = [one.source.rpartition("/")[2] for one in films if isinstance(one, Reject) and "not CSV" in one.detail]
    assert bad == ["movies.csv:3", "clips.csv:8"]
    assert films[-1].said.title == "La Cage"

"""Fifty films, one of which segfaults its worker, one hangs and one eats memory: the others don't notice."""

from pathlib import Path

import pytest
from ray import cloudpickle

from benchmarks import fakes
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig


@pytest.mark.slow
def test_forty_seven_films_are_done_and_three_quarantined_with_their_reasons(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    cloudpickle.register_pickle_by_value(fakes)
    films, log = fakes.film_ids(50), str(tmp_path / "log")
    faults = dict(zip(sorted(films)[3::17], ("segfault", "hang", "memory"), strict=True))
    made = fakes.Fakes(keyframes=70, log=log, faults=faults)
    limits = cluster.model_copy(update={"patience": 10.0, "film_memory": 0.5, "decoders": 2})
    storage = Storage(str(tmp_path / "out"))
    work = fakes.curate(storage, films, made, limits, stages=["keyframes"])
    assert set(work["keyframes"]) == set(films) - set(faults)
    counts = Tables(storage).count()
    assert (counts["keyframes"], counts["films"], counts["work"]) == (47 * 70, 47, 47)
    rejects = {reject.film_id: (reject.reason, reject.attempts) for reject in Tables(storage).rejects()}
    kinds = {"segfault": ("crashed", 3), "hang": ("timed_out", 1), "memory": ("out_of_memory", 1)}
    assert rejects == {film_id: kinds[fault] for film_id, fault in faults.items()}
    begun = [line.split()[1] for line in fakes.lines(log)]
    counted = {film_id: begun.count(film_id) for film_id in films}
    assert {film_id: counted[film_id] for film_id in faults} == {
        film_id: 3 if fault == "segfault" else 1 for film_id, fault in faults.items()
    }
    # one whose answer was on its way when its worker ended is done again; its rows are there once, see above
    assert all(counted[film_id] in (1, 2) for film_id in work["keyframes"])

"""A batch of stories in a process that can be killed: `python killable.py STORAGE STORIES LOG`.

Of each piece that is begun a line is added to LOG; a line for each that is made is printed. A story whose plot says
"deadly" ends its worker.
"""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from models.voice import SilentConfig
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.movies.stories import queue, work
from tasks.movies.stories import run as stories
from tasks.movies.stories.soundtrack import SoundConfig
from tests.tasks.movies.stories import small

SETTINGS = replace(small.SETTINGS, sound=SoundConfig(voice=SilentConfig()))
STAGES = ("scripts", "tokens", "keyframes", "enlarged", "clips", "movies", "pages")
_REAL = {stage: getattr(work, stage) for stage in STAGES}


def logged(stage, log, *arguments):
    """The work of a stage, which says in a file what it begins."""
    does = _REAL[stage](*arguments)

    def begin(pieces):
        for piece in pieces:
            if stage == "tokens" and "deadly" in piece.job.plot:
                os._exit(1)
            file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{stage} {piece.key}\n".encode())
            os.close(file)
            does([piece])

    return begin


def tell(what, done, total):
    print(what, done, total, flush=True, file=sys.__stdout__)


def main(uri, folder, log):
    for stage in STAGES:
        setattr(work, stage, partial(logged, stage, log))
    storage, cluster = Storage(uri), ClusterConfig(object_store_mb=128)
    planned, failed = stories.prepared(queue.sources(folder), SETTINGS, storage)
    outcomes = [*stories.run(planned, SETTINGS, storage, cluster, tell), *failed]
    for one in outcomes:
        print("outcome", one.state, Path(one.name).stem, one.error.replace("\n", " "), flush=True, file=sys.__stdout__)


if __name__ == "__main__":
    main(*sys.argv[1:])

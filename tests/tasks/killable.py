"""The curation up to captions, for tests: `python killable.py STORAGE FILMS` in a process that can be killed.

Prints a line whenever a stage has come further.
"""

import sys

from models.captioner import DescriberConfig
from models.detector import MtcnnConfig
from models.face import DlibConfig
from storage.decoding.decode import KeyframesConfig
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.curation import captions, characters, faces, ingest, keyframes
from tasks.curation.ingest import IngestConfig
from tasks.stage import run_stage

SMALL = KeyframesConfig(width=112, height=64)


def tell(what: str, done: int, total: int) -> None:
    print(what, done, total, flush=True, file=sys.__stdout__)


def main(uri: str, films: str) -> None:
    storage, cluster = Storage(uri), ClusterConfig(object_store_mb=128)
    ingested = ingest.run(IngestConfig(films=(films,)), storage, tell)
    work = keyframes.run(SMALL, storage, ingested, cluster, tell)
    work = run_stage(characters.STAGE, [MtcnnConfig()], storage, work, cluster, tell)
    work = run_stage(faces.STAGE, [DlibConfig()], storage, work, cluster, tell)
    run_stage(captions.STAGE, [DescriberConfig()], storage, work, cluster, tell)
    tell("all", 1, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A drawn film that went through the whole curation, for every test that reads a snapshot."""

from dataclasses import dataclass

import pytest

from models.captioner import DescriberConfig
from models.detector import MtcnnConfig
from models.face import DlibConfig
from models.sentence import MiniLmConfig
from models.writer import TemplateConfig
from storage.decoding.decode import KeyframesConfig
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.cluster import ClusterConfig
from tasks.curation import captions, characters, faces, features, ingest, keyframes, scripts, snapshot
from tasks.curation.ingest import DrawnConfig, IngestConfig
from tasks.curation.split import HalvesConfig
from tasks.progress import silent
from tasks.stage import Work, run_stage

DRAWN = DrawnConfig(seconds=16, width=448, height=256)


@dataclass(frozen=True)
class Curated:
    storage: Storage
    work: Work
    snapshot: Snapshot

    @property
    def film_id(self) -> str:
        return self.snapshot.films[0].film_id


@pytest.fixture(scope="session")
def curated(tmp_path_factory: pytest.TempPathFactory, cluster: ClusterConfig) -> Curated:
    storage = Storage(str(tmp_path_factory.mktemp("curated")))
    films = ingest.run(IngestConfig(drawn=DRAWN), storage, silent)
    work = keyframes.run(KeyframesConfig(width=448, height=256), storage, films, cluster, silent)
    work = run_stage(characters.STAGE, [MtcnnConfig()], storage, work, cluster, silent)
    work = run_stage(faces.STAGE, [DlibConfig()], storage, work, cluster, silent)
    work = run_stage(captions.STAGE, [DescriberConfig()], storage, work, cluster, silent)
    work = run_stage(scripts.STAGE, [TemplateConfig()], storage, work, cluster, silent)
    work = run_stage(features.STAGE, [MiniLmConfig(), DlibConfig()], storage, work, cluster, silent)
    return Curated(storage, work, snapshot.run(HalvesConfig(), storage, work))

"""A folder as it lies in the hub's cache after it was fetched by its id."""

import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fetched(cache: Path, hub_id: str, folder: Path, commit: str = COMMIT) -> None:
    """Makes `folder` what the branch main of `hub_id` holds."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs/main").write_text(commit)
    shutil.copytree(folder, repository / "snapshots" / commit)

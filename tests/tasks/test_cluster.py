"""What is asked of the Ray of this machine."""

import pytest

from tasks.cluster import ClusterConfig, ClusterError, require_gpus


def test_gpus_that_ray_would_wait_for_are_told_with_the_settings_that_ask(
    cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match=r"fit.workers=500 of fit.gpus=2 take 1000 GPUs, this machine has \d+: set"):
        require_gpus(cluster, 1000, "fit.workers=500 of fit.gpus=2")
    require_gpus(cluster, 0, "nothing")
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    require_gpus(cluster, 1000, "a cluster may grow")

"""What connecting to Ray leaves alone."""

import signal

from tasks.cluster import _own_sigterm


def test_sigterm_stays_with_whose_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _own_sigterm():
        signal.signal(signal.SIGTERM, lambda *_: None)  # as ray.init does
    assert signal.getsignal(signal.SIGTERM) is before

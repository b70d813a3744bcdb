"""An object store is down for a while: how long is a commit delayed, and does it stand?

    python benchmarks/outage.py --seconds 20 --mood 503

A batch of a storage in S3 is committed while the store (moto's server behind benchmarks/faulty_s3.py) returns errors or
drops connections. The run holds the storage's lease, which has to outlive the outage. The baseline appends to a Delta
table in the same outage, with the deltalake package as it is installed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from commits import film, film_id, stage
from deltalake import write_deltalake
from faulty_s3 import Proxy, proxied
from stack import free_port, until

from flows.server.lock import alone
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import write_file
from storage.tables.tables import Tables


def main() -> None:
    """Prints both delays, and the figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--mood", default="503", help="500, 503, or silent: connections are dropped")
    args = parser.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    port = free_port()
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
        proxied(f"127.0.0.1:{port}") as proxy,
        tempfile.TemporaryDirectory() as cache,
    ):
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            until(lambda: makes_bucket(port), "the S3 server")
            storage = Storage(f"s3://bucket/out?endpoint_override={proxy.address}&scheme=http&region=us-east-1")
            storage.record.begin()
            baseline = delayed("appended by hand", proxy, args, lambda number: by_hand(proxy, number))
            with alone(storage):
                batches = Batches(storage, stage(0), ["keyframes"])
                value = delayed("batches", proxy, args, lambda number: commit(storage, batches, number))
            work = Tables(storage).count()["work"]
        finally:
            server.kill()
    if value is None or work != 2:
        raise SystemExit(f"{work} of 2 batches stand")
    result = {"name": "commit_in_an_outage", "value": value, "unit": "s", "baseline": baseline, "ratio": None, "n": 1}
    print(json.dumps(result | {"ratio": baseline and round(value / baseline, 2)}))


def makes_bucket(port: int) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")).close()
    except OSError:
        return False
    return True


def delayed(name: str, proxy: Proxy, args: argparse.Namespace, write: Callable[[int], object]) -> float | None:
    """Seconds of the second write, in the outage; None if it failed."""
    write(0)
    proxy.mood = args.mood
    threading.Timer(args.seconds, setattr, (proxy, "mood", "")).start()
    began = time.monotonic()
    try:
        write(1)
        failed = ""
    except Exception as error:  # the libraries raise several classes
        failed = f", with {type(error).__name__}"
    took = round(time.monotonic() - began, 1)
    print(f"{name}: an outage of {args.seconds:g} s ({args.mood}), ended after {took} s{failed}", flush=True)
    until(lambda: not proxy.mood, "the end of the outage")
    return None if failed else took


def by_hand(proxy: Proxy, number: int) -> None:
    options = {"AWS_ENDPOINT_URL": f"http://{proxy.address}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    write_deltalake("s3://bucket/hand", film(film_id(0, number), stage(0))[1], mode="append", storage_options=options)


def commit(storage: Storage, batches: Batches, number: int) -> None:
    rows, work = film(film_id(0, number), stage(0))
    batches.commit({"keyframes": [write_file(storage, "keyframes", [rows])]}, work)


if __name__ == "__main__":
    main()

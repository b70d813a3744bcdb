"""Storages in Azure. What needs a server runs where Microsoft's emulator is installed (`npm install -g azurite`)."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow.fs import AzureFileSystem

from storage.errors import ConfigError, FilmError, StorageError
from storage.remote import arrow, listed
from storage.root import Storage
from tests.storage.bucket import is_a_storage

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # the emulator's


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_KEY", "SAS_TOKEN", "ENDPOINT"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "films")


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, {}),
        ({"ACCOUNT_KEY": "a2V5"}, {"account_key": "a2V5"}),
        ({"SAS_TOKEN": "sv=1&sig=2"}, {"sas_token": "?sv=1&sig=2"}),
        ({"SAS_TOKEN": "?sv=1&sig=2"}, {"sas_token": "?sv=1&sig=2"}),
        (
            {"ENDPOINT": "http://127.0.0.1:10000/films"},
            {f"{part}_storage_{name}": value for part in ("blob", "dfs")
             for name, value in (("authority", "127.0.0.1:10000"), ("scheme", "http"))},
        ),
        (
            {"ENDPOINT": "https://films.blob.core.chinacloudapi.cn"},
            {f"{part}_storage_authority": ".blob.core.chinacloudapi.cn" for part in ("blob", "dfs")},
        ),
    ],
)  # fmt: skip
def test_arrow_gets_what_the_variables_of_object_store_say(variables, options, monkeypatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    filesystem, path = arrow("az://bucket/a%20b+c")
    assert filesystem.equals(AzureFileSystem("films", **options))
    assert path == "bucket/a b+c"
    assert Storage("az://bucket/a b+c").url("x y") == "az://bucket/a%20b+c/x%20y"


def test_without_an_account_the_variable_is_named(monkeypatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(StorageError, match=r"'az://bucket/x'.*AZURE_STORAGE_ACCOUNT_NAME"):
        Storage("az://bucket/x").exists("a")
    with pytest.raises(FilmError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        listed("az://bucket/film.mp4")


@pytest.mark.parametrize(
    "uri",
    ["abfss://films@account.dfs.core.windows.net/x", "abfs://films/x", "https://account.blob.core.windows.net/films"],
)
def test_other_spellings_are_quoted_with_the_one_that_is_read(uri) -> None:
    with pytest.raises(ConfigError, match=r"az://container/\.\. \(with AZURE_STORAGE_ACCOUNT_NAME") as caught:
        Storage(uri)
    assert uri in str(caught.value)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Storage]:
    """In a container of the emulator."""
    program = shutil.which("azurite-blob")
    if not program:
        pytest.skip("azurite is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"http://127.0.0.1:{port}/devstoreaccount1")
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")  # which knows no `startFrom` in a listing
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
    options = ["--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    filesystem, _ = arrow("az://bucket")
    filesystem.create_dir("bucket")
    yield Storage("az://bucket/a b+é")
    server.kill()
    server.wait()


def test_a_container_is_a_storage(storage: Storage, tmp_path: Path) -> None:
    is_a_storage(storage, tmp_path)

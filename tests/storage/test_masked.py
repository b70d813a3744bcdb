"""No key, signature or password is shown, wherever an address comes from."""

import pytest

from storage.decoding.child import _environment
from storage.guard import storage_error
from storage.masked import masked

SAS = "sv=2022-11-02&ss=b&srt=co&sp=rw&se=2030-01-01T00:00:00Z&sig=hidden%3D"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"no answer from 'https://a.blob.core.windows.net/c/x?{SAS}'",
            "'https://a.blob.core.windows.net/c/x?ss=b&srt=co&'",
        ),
        ("GET https://b.s3.amazonaws.com/x?X-Amz-Security-Token=hidden&list-type=2 failed", "?list-type=2 failed"),
        ("s3://b/x?session_token=hidden&region=eu-1", "s3://b/x?region=eu-1"),
        ("s3://b/x?secret_access_key=hidden", "s3://b/x?"),
        ("https://a.net/c?account_key=hidden", "https://a.net/c?"),
        (
            "could not connect to postgresql+asyncpg://prefect:hidden@db:5432/prefect",
            "postgresql+asyncpg://***@db:5432",
        ),
        ("401 for url 'https://admin:hidden@prefect:4200/api/health'", "'https://***@prefect:4200/api/health'"),
        ("clone of https://hidden@host/films", "https://***@host/films"),
        ("redis://:hidden@redis:6379/1", "redis://***@redis:6379/1"),
        ('["http://a:8000/v1", "someone@home"]', '["http://a:8000/v1", "someone@home"]'),
        ("abfss://films@account.dfs.core.windows.net/x", "abfss://films@account.dfs.core.windows.net/x"),
        ("http://127.0.0.1:4200/api, a@b", "http://127.0.0.1:4200/api, a@b"),
    ],
)
def test_texts_are_shown_without_secrets(text, shown):
    assert shown in masked(text)
    assert "hidden" not in masked(text)


def test_what_a_library_says_is_shown_without_secrets():
    error = OSError(f"Check for Hierarchical Namespace support on 'http://a/devstoreaccount1/?{SAS}/films' failed")
    assert "hidden" not in str(storage_error(error, "read", "az://films/x"))


def test_the_process_that_decodes_films_gets_no_keys(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:hidden@proxy:3128")
    for name in ("AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN", "HF_TOKEN", "PREFECT_API_AUTH_STRING", "AZURE_STORAGE_KEY"):
        monkeypatch.setenv(name, "hidden")
    assert "hidden" not in _environment().values()
    assert "PATH" in _environment()

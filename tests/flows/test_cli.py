"""The command line: its flags, its answers to bad usage, and that it stays light."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from flows import catalogue
from flows.cli import app

FLAGS = {
    "list": ["--json"],
    "show": ["flow", "prefix", "--recipe", "--storage", "--set", "--changed", "--json"],
    "plan": [
        "flow", "--recipe", "--storage", "--set", "--gpus", "--price", "--keyframes", "--rate", "--json",
    ],
    "run": ["flow", "--recipe", "--storage", "--set", "--into", "--json"],
    "render": [
        "stories", "--recipe", "--storage", "--set", "--only", "--redo", "--seed", "--take", "--continue",
        "--preview", "--dry-run", "--max-hours", "--into", "--json",
    ],
    "takes": ["story", "--recipe", "--storage", "--set", "--json"],
    "write": ["synopsis", "-o", "--recipe", "--keyframes", "--verbatim", "--set", "--json"],
    "export": ["film", "-o", "--storage", "--snapshot", "--json"],
    "evaluate": [
        "results", "--layout", "--real", "--stories", "-o", "--recipe", "--storage", "--set", "--into", "--json",
    ],
    "compare": ["reports", "--json"],
    "status": ["--storage", "--watch", "--html", "--json"],
    "clean": ["--storage", "--yes", "--unused", "--json"],
}  # fmt: skip


def _call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_the_flags_are_frozen() -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, click.Group) or hasattr(command, "commands")
    flags = {
        name: [(parameter.opts or [parameter.name])[0] for parameter in sub.params]
        for name, sub in command.commands.items()
    }
    assert flags == FLAGS


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["run", "--help"], ["status", "--storage", "nothing"]])
def test_light_commands_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom flows.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'ray', 'prefect', 'transformers', 'diffusers') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_list_names_flows_and_recipes() -> None:
    code, printed, _ = _call("list", "--json")
    assert code == 0
    flows = {name: flow.about for name, flow in catalogue.FLOWS.items()}
    assert json.loads(printed) == {"flows": flows, "recipes": catalogue.RECIPES}
    code, printed, _ = _call("list")
    assert all(name in printed for name in [*catalogue.FLOWS, *catalogue.RECIPES])


def test_the_catalogue_is_true() -> None:
    from flows.settings import recipes

    assert list(catalogue.RECIPES) == list(recipes.RECIPES)
    for name in catalogue.RECIPES:
        assert getattr(recipes, name)().name == name
    for name in catalogue.FLOWS:
        assert catalogue.flow(name).name == name  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["show", "run"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["studoi"], "unknown flow 'studoi': did you mean 'studio'?"),
        (["studio", "--recipe", "labtop"], "unknown recipe 'labtop': did you mean 'laptop'?"),
        (["studio", "--set", "render.sed=1"], "there is no setting 'render.sed': did you mean 'render.seed'?"),
        (["studio", "--set", "render.seed"], "--set 'render.seed' is not of the form key=value"),
        (["studio", "--set", "render.seed=soon"], "'soon' does not fit"),
    ],
)
def test_bad_usage_ends_with_2_and_writes_nothing(
    command: str, arguments: list[str], message: str, tmp_path: Path
) -> None:
    code, _, errors = _call(command, *arguments, "--storage", str(tmp_path / "new"))
    assert code == 2
    assert message in errors
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [["show", "studio"], ["run", "studio"], ["status"], ["clean"]])
def test_keys_in_the_storage_are_refused_and_not_repeated(command: list[str]) -> None:
    code, printed, errors = _call(*command, "--storage", "s3://AK:hidden@bucket/x")
    assert code == 2
    assert "AWS_SECRET_ACCESS_KEY" in errors
    assert "hidden" not in printed + errors


@pytest.mark.parametrize("arguments", [[], ["run"], ["rum"], ["run", "studio", "--stroage", "x"]])
def test_missing_and_unknown_words_end_with_2(arguments: list[str]) -> None:
    assert _call(*arguments)[0] == 2


def test_unwritable_storage_ends_with_1_and_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    place = str(tmp_path / "file" / "out")
    code, _, errors = _call("run", "studio", "--recipe", "smoke", "--storage", place)
    assert code == 1
    assert repr(place) in errors
    assert "Traceback" not in errors


def test_sigterm_ends_a_run_with_143_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("flows.commands.local_run.run_here", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        code, printed, errors = _call("run", "studio")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, printed, errors) == (143, "", "stopped by SIGTERM\n")


def test_show_prints_every_setting_as_set_takes_it() -> None:
    code, printed, _ = _call("show", "studio", "--recipe", "smoke", "--set", "render.seed=5", "--json")
    assert code == 0
    shown = json.loads(printed)
    assert shown["recipe"]["render"]["seed"] == 5
    _, lines, _ = _call("show", "studio", "--recipe", "smoke", "--set", "render.seed=5")
    assert "render.seed=5" in lines.splitlines()

    from flows.settings.recipes import resolve

    settings = [line for line in lines.splitlines() if not line.startswith("#")]
    assert resolve("smoke", settings) == resolve("smoke", ["render.seed=5"])


def test_show_explains_each_setting_with_its_default() -> None:
    _, lines, _ = _call("show", "studio", "render", "--recipe", "smoke")
    assert "# reference frames of few-shot generation, evenly spread (default: 10)\nrender.references=2\n" in lines
    settings = [line for line in lines.splitlines() if not line.startswith("#")]
    assert settings
    assert all(line.startswith("render.") for line in settings)
    _, lines, _ = _call("show", "studio", "autoregressive.model.width")
    assert "# width of a token; always autoencoder.model.compressor.token_width (default: 256)" in lines
    code, _, errors = _call("show", "studio", "rendr")
    assert (code, errors) == (2, "error there is no setting 'rendr': did you mean 'render.seed'?\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--recipe", "laptop"], []),
        (["--set", "render.seed=3", "--set", "movie.fps=24"], ["render.seed=3"]),
        (["face", "--set", "face.kind=farl"], ['face.kind="farl"']),
        (["autoregressive.model", "--set", "face.kind=farl"], ["autoregressive.model.face_width=512"]),
        (["first", "--set", 'first={"sizes": []}'], ["first.images=[]", "first.width=768", "first.height=768"]),
    ],
)
def test_changed_shows_only_what_differs_from_the_defaults(arguments: list[str], expected: list[str]) -> None:
    _, lines, _ = _call("show", "studio", *arguments, "--changed")
    settings = [line for line in lines.splitlines() if not line.startswith("#")]
    assert settings[: len(expected)] == expected
    assert len(settings) == len(expected) or "first" in arguments


def test_debug_shows_where(tmp_path: Path) -> None:
    environment = os.environ | {"MOVIEDREAMER_DEBUG": "1"}
    command = [sys.executable, "-m", "flows.cli", "status", "--storage", "ftp://x"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr


@pytest.mark.parametrize(
    "command", [["status", "--storage", "s3://k:\x1b2J@\x9b/\u202e"], ["show", "\x1b[2J" + "A" * 60_000]]
)
def test_an_error_is_shown_escaped_and_cut(command: list[str]) -> None:
    code, _, errors = _call(*command)
    assert code == 2
    assert len(errors) < 3000
    assert all(letter.isprintable() or letter == "\n" for letter in errors)


def test_a_setting_from_outside_is_shown_escaped() -> None:
    given = 'script.path="\x9b31m\\u001b"'
    _, printed, _ = _call("show", "render_movies", "--recipe", "smoke", "--set", given)
    assert 'script.path="\\u009b31m\\u001b"' in printed


def test_status_of_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    for more in ([], ["--json"]):
        code, printed, errors = _call("status", "--storage", str(tmp_path / "nowhere"), *more)
        assert (code, printed) == (1, "")
        assert f"there is no storage at '{tmp_path / 'nowhere'}'" in errors
    code, printed, _ = _call("status", "--storage", str(tmp_path))
    place, program, said = printed.splitlines()
    assert (code, place, said) == (0, str(tmp_path), "nothing is kept here yet")
    assert program.startswith("ffmpeg: ")
    (tmp_path / "notes.txt").write_text("mine")
    code, printed, errors = _call("status", "--storage", str(tmp_path))
    assert (code, printed, f"'{tmp_path}' is not a storage" in errors) == (1, "", True)


def test_a_drawn_film_is_as_long_as_drawing_needs() -> None:
    code, _, errors = _call("show", "studio", "--set", "ingest.drawn.seconds=7")
    assert (code, "greater than or equal to 8" in errors) == (2, True)

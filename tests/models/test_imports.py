"""What workers import for their settings costs them neither seconds nor memory."""

import subprocess
import sys

HEAVY = {"torch", "transformers", "diffusers", "dlib", "open_clip", "httpx", "onnxruntime"}


def test_the_configs_of_backends_are_imported_without_torch() -> None:
    imports = "from models import captioner, detector, face, sentence, voice, writer"
    loaded = subprocess.run(
        [sys.executable, "-c", f"{imports}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not HEAVY & set(loaded)

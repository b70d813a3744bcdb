"""Films whose pictures are easily told apart, and copies of them in other encodings."""

import av
import numpy as np
from PIL import Image

FPS, SECONDS = 10, 8


def scenes(seed):
    """Eight scenes of a second each: soft blobs of light that drift."""
    draw = np.random.default_rng(seed)
    for _ in range(SECONDS):
        grid = draw.integers(20, 235, (5, 8, 3)).astype(np.uint8)
        yield np.asarray(Image.fromarray(grid).resize((352, 208), Image.Resampling.BICUBIC))


def write(
    path, seed, size=(320, 180), pad=(0, 0), crf="23", codec="libx264", fps=FPS, gop=250, light=1.0, mirror=False, cut=0
):
    """`pad`: black rows above and below, and columns left and right; `cut`: frames that the beginning lacks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"crf": crf, "threads": "1"} if codec == "libx264" else {"threads": "1"}
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = size[0] + 2 * pad[1], size[1] + 2 * pad[0], "yuv420p"
        stream.codec_context.gop_size = gop
        for place, scene in enumerate(scenes(seed)):
            for number in range(max(0, cut - place * fps), fps):
                left = round(24 * number / fps)
                part = Image.fromarray(scene[8:188, left : left + 320]).resize(size, Image.Resampling.BILINEAR)
                picture = np.clip(np.asarray(part, np.float32) * light, 0, 255).astype(np.uint8)
                picture = picture[:, ::-1] if mirror else picture
                picture = np.pad(picture, ((pad[0], pad[0]), (pad[1], pad[1]), (0, 0)))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path

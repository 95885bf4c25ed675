"""Small TFRecords, and splits by content, for the tests of imports."""

import json

import numpy as np
import records

SIZES = {"rgb": 3, "audio": 2}


def draw(num_videos, *, prefix="v", num_frames=4, sizes=SIZES, seed=0):
    """Videos {id: (labels, frames)} of labels 0..6."""
    rng = np.random.default_rng(seed)
    return {
        f"{prefix}{n}": (
            sorted(rng.permutation(7)[: 1 + n % 3].tolist()),
            records.draw_frames(rng, num_frames, sizes),
        )
        for n in range(num_videos)
    }


def write_files(folder, num_files, *, num_videos=5, **options):
    """TFRecords a0, a1, ... of videos of their own."""
    return [
        records.write_frames(folder / f"a{n}", draw(num_videos, prefix=f"f{n}v", seed=n, **options))
        for n in range(num_files)
    ]


def change_meta(split, **changes):
    """Change split.json of a split, and leave it without a checksum, as an older version would."""
    path = split / "split.json"
    about = json.loads(path.read_text()) | changes
    about.pop("crc32", None)
    path.write_text(json.dumps(about))


def contents(folder):
    """Every file's bytes, those of hidden folders too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

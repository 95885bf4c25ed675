"""TFRecords imported, checksums and all, beside the tfrecord package that only reads them.

    python bench/bench_import.py [--videos 3000] [--copies 4] [--rounds 5] [--records FILE...]

Videos of up to 300 frames of 1024 + 128 values in four files a copy; or the files given. Each
contender is a process of its own, in turn; its start is taken off, as one video takes it. A plain
copy of the files tells what the machine takes for reading and writing as many bytes. Before each
turn as much memory is touched and freed (not with --cold-pages): a virtual machine that has given
its free pages back to the host pays for the first touch of each, up to 0.5 ms a video here.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gapkit.data import synthesize
from gapkit.data._tfrecord import messages, read_records, write_records

OURS = """\
import sys
from gapkit.data import import_tfrecords
import_tfrecords(sys.argv[3:], sys.argv[1], num_classes=5000, workers=int(sys.argv[2]))
"""
THEIRS = """\
import sys
import numpy as np
import tfrecord
for file in sys.argv[3:]:
    names = dict.fromkeys(sys.argv[2].split(","), "byte")
    records = tfrecord.tfrecord_loader(
        file, None, {sys.argv[1]: "byte", "labels": "int"}, sequence_description=names
    )
    for _, frames in records:
        for name in names:
            np.stack([np.frombuffer(frame, np.uint8) for frame in frames[name]])
"""


def make_files(folder, num_videos, num_copies):
    """Four files a copy; a copy has ids of its own."""
    synthesize(
        folder / "whole", num_videos=num_videos, num_classes=500, rgb_size=1024, audio_size=128,
        max_frames=300,
    )  # fmt: skip
    records = [
        bytes(record)
        for path in sorted((folder / "whole").glob("*.tfrecord"))
        for record in read_records(path)
    ]
    shutil.rmtree(folder / "whole")
    files = []
    for copy in range(num_copies):
        for number in range(4):
            file = folder / f"part{copy}-{number}.tfrecord"
            write_records(file, [rename(record, copy) for record in records[number::4]])
            files.append(file)
    return files


def rename(record, copy):
    """A record of another id, as long as it was."""
    message = messages().SequenceExample.FromString(record)
    (video_id,) = message.context.feature["id"].bytes_list.value
    return record.replace(video_id, bytes([ord("A") + copy]) + video_id[1:], 1)


def count_videos(files):
    return sum(1 for file in files for _ in read_records(file))


def describe(file):
    """Key of the id, and features, of the first record."""
    message = messages().SequenceExample.FromString(bytes(next(read_records(file))))
    key = "video_id" if "video_id" in message.context.feature else "id"
    return key, ",".join(sorted(message.feature_lists.feature_list))


def run(script, *arguments):
    """Seconds by the clock, of computing and in the system, and MB at most, of a process."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script, *map(str, arguments)])
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{script} {arguments}: status {status}")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime, used.ru_stime, used.ru_maxrss / 1024


def import_in(folder, workers, files):
    shutil.rmtree(folder / "split", ignore_errors=True)
    return run(OURS, folder / "split", workers, *files)


def touch_pages(num_bytes):
    """Free memory that the host has backed, for what is written next."""
    np.ones(num_bytes, np.uint8)


def copy_in(folder, files):
    shutil.rmtree(folder / "split", ignore_errors=True)
    (folder / "split").mkdir()
    script = "import shutil, sys; [shutil.copy(file, sys.argv[1]) for file in sys.argv[2:]]"
    return run(script, folder / "split", *files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=3000)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-pages", action="store_true")
    parser.add_argument("--records", type=Path, nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = arguments.records or make_files(folder, arguments.videos, arguments.copies)
        key, features = describe(files[0])
        one = folder / "one.tfrecord"
        write_records(one, [bytes(next(read_records(files[0])))])
        num_videos = count_videos(files)
        total = sum(file.stat().st_size for file in files)
        print(f"{num_videos:,} videos, {total / 1e6:,.0f} MB, load {os.getloadavg()[0]:.1f}")
        contenders = {
            "tfrecord package": lambda files: run(THEIRS, key, features, *files),
            "gapkit, 1 worker": lambda files: import_in(folder, 1, files),
            "gapkit, 2 workers": lambda files: import_in(folder, 2, files),
            "plain copy": lambda files: copy_in(folder, files),
        }
        found = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name, contender in contenders.items():
                start = contender([one])
                if not arguments.cold_pages:
                    touch_pages(total)
                whole = contender(files)
                used = [(b - a) / num_videos for a, b in zip(start[:3], whole[:3], strict=True)]
                found[name].append((1 / used[0], *used[1:], whole[3], start[0]))
        reference = [values[0] for values in found["tfrecord package"]]
        print("| | videos/s | x the tfrecord package | computing | system | peak | start |")
        for name, values in found.items():
            rates, user, system, memory, start = zip(*values, strict=True)
            ratios = [ours / theirs for ours, theirs in zip(rates, reference, strict=True)]
            print(
                f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to "
                f"{max(rates):,.0f}) | {statistics.median(ratios):.1f} ({min(ratios):.1f} to "
                f"{max(ratios):.1f}) | {1e6 * statistics.median(user):,.0f} us a video | "
                f"{1e6 * statistics.median(system):,.0f} us | {max(memory):.0f} MB | "
                f"{statistics.median(start):.2f} s |"
            )


if __name__ == "__main__":
    main()

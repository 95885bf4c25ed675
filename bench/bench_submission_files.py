"""Parquet options for submissions: writing and reading 200,000 videos x 20 labels."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

NUM_VIDEOS, TOP_K = 200_000, 20
LABELS = ["labels.list.element"]
OPTIONS = {
    "pyarrow's own": {},
    "snappy, labels as dictionary, checksums (ours)": {
        "compression": "snappy",
        "use_dictionary": LABELS,
        "write_page_checksum": True,
    },
    "uncompressed, labels as dictionary": {"compression": "none", "use_dictionary": LABELS},
    "lz4, labels as dictionary": {"compression": "lz4", "use_dictionary": LABELS},
    "zstd, labels as dictionary": {"compression": "zstd", "use_dictionary": LABELS},
}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    confidences = np.sort(rng.random((NUM_VIDEOS, TOP_K), dtype=np.float32) ** 6, axis=1)[:, ::-1]
    labels = rng.zipf(1.3, (NUM_VIDEOS, TOP_K)) - 1 + rng.integers(0, 50, (NUM_VIDEOS, TOP_K))
    offsets = np.arange(0, NUM_VIDEOS * TOP_K + 1, TOP_K, dtype=np.int32)
    lists = {
        "labels": pa.array(np.minimum(labels, 4715).astype(np.uint16).reshape(-1)),
        "confidences": pa.array(confidences.reshape(-1)),
    }
    ids = pa.array([f"{n:011x}" for n in rng.permutation(NUM_VIDEOS)])
    columns = {name: pa.ListArray.from_arrays(offsets, values) for name, values in lists.items()}
    return pa.table({"id": ids, **columns})


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("verb", ["write", "read"])
def test_parquet(benchmark, table, tmp_path, verb, name):
    path = tmp_path / "submission.parquet"
    pq.write_table(table, path, **OPTIONS[name])
    checked = "write_page_checksum" in OPTIONS[name]
    benchmark.group = f"{verb} {NUM_VIDEOS:,} x {TOP_K}"
    benchmark.extra_info["size_bytes"] = path.stat().st_size
    if verb == "write":
        benchmark.pedantic(pq.write_table, (table, path), OPTIONS[name], rounds=5, warmup_rounds=1)
    else:
        options = {"page_checksum_verification": checked}
        benchmark.pedantic(pq.read_table, (path,), options, rounds=5, warmup_rounds=1)
    assert pq.read_metadata(path).num_rows == NUM_VIDEOS

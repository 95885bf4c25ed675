"""Each bad submission or labels file: one line with file, place and remedy; nothing written."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

IDS = [f"v{n}" for n in range(40)]
HEADER = "VideoId,LabelConfidencePairs\n"


def table(ids=None, labels=None, confidences=None, *, num_classes=12, label_type=None, version=1):
    """A submission of 40 videos; labels or confidences of v3 replaced."""
    label_rows = [[n % 12, (n + 1) % 12, (n + 5) % 12] for n in range(40)]
    confidence_rows = [[0.9, 0.5 + n / 100, 0.25] for n in range(40)]
    label_rows[3] = labels or label_rows[3]
    confidence_rows[3] = confidences or confidence_rows[3]
    about = {"version": version, "top_k": 3, "num_classes": num_classes}
    columns = {
        "id": pa.array(ids or IDS),
        "labels": pa.array(label_rows, pa.list_(label_type or pa.uint16())),
        "confidences": pa.array(confidence_rows, pa.list_(pa.float32())),
    }
    return pa.table(columns).replace_schema_metadata({"gapkit": json.dumps(about)})


def parquet(*args, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(table(*args, **options), sink, write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def arrow():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table().schema) as writer:
        writer.write_table(table())
    return sink.getvalue().to_pybytes()


def another_schema():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["a"], "score": [0.5]}), sink)
    return sink.getvalue().to_pybytes()


def halved(content):
    return content[: len(content) // 2]


def flipped(content, place):
    """One bit of a byte is changed."""
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def kaggle():
    rows = [f"{name},{n % 12} 0.5 {(n + 1) % 12} 0.2{n}" for n, name in enumerate(IDS)]
    return (HEADER + "\n".join(rows) + "\n").encode()


# name of the file: (its bytes, words of the message)
SUBMISSIONS = {
    "half.parquet": (halved(parquet()), ["cut short", "Copy it anew"]),
    "half.arrow": (halved(arrow()), ["cut short", "anew"]),
    "half.csv.gz": (halved(gzip.compress(kaggle())), ["cut short", "anew"]),
    "footless.parquet": (parquet()[:-1], ["cut short"]),
    "bit.parquet": (flipped(parquet(), 300), ["damaged"]),
    "head.parquet": (b"PAR1", ["cut short"]),
    "hollow.parquet": (b"PAR1" + bytes(40) + b"PAR1", ["damaged"]),
    "empty.parquet": (b"", ["is empty"]),
    "empty.csv": (b"", ["is empty"]),
    "text.parquet": (b"Dear reader\nthis is no table.\n", ["neither Parquet", "README.md"]),
    "commas.parquet": (b"Dear reader, this is\nno table.\n", ["anew"]),
    "letter.csv": (b"Dear reader,\nthis, too.\n", ["header", "'VideoId,LabelConfidencePairs'"]),
    "binary.parquet": (bytes(range(256)), ["neither Parquet"]),
    "schema.parquet": (another_schema(), ["'labels' is missing", "id, score", "It needs id"]),
    "schema.csv": (b"name,score\na,0.5\n", ["name,score", "VideoId,LabelConfidencePairs"]),
    "columns.csv": (b"VideoId,LabelConfidencePairs\na,0 0.5,7\n", ["columns"]),
    "nan.parquet": (parquet(confidences=[0.9, float("nan"), 0.1]), ["row 3 (id 'v3')", "nan"]),
    "inf.parquet": (parquet(confidences=[float("inf"), 0.5, 0.1]), ["row 3 (id 'v3')", "inf"]),
    "nan.csv": (HEADER.encode() + b"a,0 0.5\nb,1 nan\n", ["row 1 (id 'b')", "nan"]),
    "id.parquet": (parquet([*IDS[:-1], "v7"]), ["row 39", "'v7'", "row 7", "one row a video"]),
    "id.csv": (HEADER.encode() + b"a,0 0.5\na,1 0.5\n", ["row 1", "'a'", "row 0"]),
    "null.parquet": (parquet([*IDS[:-1], None]), ["row 39", "id is missing"]),
    "twice.parquet": (parquet(labels=[5, 2, 5]), ["row 3 (id 'v3')", "label 5 stands twice"]),
    "twice.csv": (HEADER.encode() + b"a,5 0.5 5 0.25\n", ["row 0 (id 'a')", "label 5"]),
    "range.parquet": (parquet(labels=[1, 12, 2]), ["(id 'v3')", "label 12", "num_classes=12"]),
    "below.parquet": (
        parquet(labels=[1, -1, 2], label_type=pa.int32()),
        ["(id 'v3')", "label -1"],
    ),
    "below.csv": (HEADER.encode() + b"a,-1 0.5\n", ["row 0 (id 'a')", "label -1"]),
    "uneven.parquet": (parquet(confidences=[0.5]), ["row 3 (id 'v3')", "3 labels", "1 conf"]),
    "words.csv": (HEADER.encode() + b"a,0 0.5 1\n", ["row 0 (id 'a')", "3 words"]),
    "word.csv": (HEADER.encode() + b"a,0 0.5 x 0.5\n", ["row 0 (id 'a')", "'x'"]),
    "version.parquet": (parquet(version=9), ["version 9", "Upgrade gapkit"]),
}


@pytest.fixture
def folder(tmp_path):
    """A good submission, labels of it, and an output that is there already."""
    (tmp_path / "good.parquet").write_bytes(parquet())
    (tmp_path / "labels.csv").write_text("id,labels\n" + "\n".join(f"{v},1 2" for v in IDS) + "\n")
    (tmp_path / "out.parquet").write_bytes(b"what was there")
    return tmp_path


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_bad_submission_is_named_and_nothing_written(cli, folder, snapshot, name):
    content, words = SUBMISSIONS[name]
    (folder / name).write_bytes(content)
    before = snapshot(folder)
    score = cli("score", "good.parquet", name, "--labels", "labels.csv", cwd=folder)
    score.fails(f"{name}: ", *words)
    # The bad member comes last: the good one has been read by then.
    cli("ensemble", "good.parquet", name, "-o", "out.parquet", cwd=folder).fails(name, *words)
    check = cli("check", name, cwd=folder)
    assert check.rc == 1
    assert all(line.startswith(f"error: {name}: ") for line in check.errors)
    assert any(all(word in line for word in words) for line in check.errors), check.errors
    assert snapshot(folder) == before


def test_the_good_submission_of_these_tests_is_good(cli, folder):
    cli("score", "good.parquet", "--labels", "labels.csv", cwd=folder).succeeds()
    cli("ensemble", "good.parquet", cwd=folder).succeeds()
    for name, content in (("a.arrow", arrow()), ("k.csv.gz", gzip.compress(kaggle()))):
        (folder / name).write_bytes(content)
        cli("check", name, cwd=folder).succeeds()


@pytest.mark.parametrize("command", ["score", "ensemble", "check"])
@pytest.mark.parametrize(
    ("name", "words"), [("absent.parquet", "no such file"), (".", "is a folder")]
)
def test_an_absent_file_is_named(cli, folder, snapshot, command, name, words):
    before = snapshot(folder)
    options = {"score": ("--labels", "labels.csv"), "ensemble": ("-o", "out.parquet"), "check": ()}
    result = cli(command, "good.parquet", name, *options[command], cwd=folder)
    if command == "check":
        assert result.rc == 1
        assert len(result.errors) == 1
    else:
        result.fails(name, words)
    assert name in result.stderr
    assert words in result.stderr
    assert snapshot(folder) == before


def test_a_label_out_of_range_of_the_labels_file_is_named(cli, data, tmp_path, submission):
    """A CSV does not know num_classes; the split, of 12 labels, does."""
    video = pq.read_table(submission)["id"][7].as_py()
    (tmp_path / "far.csv").write_text(f"{HEADER}other,1 0.5\n{video},3 0.5 12 0.25\n")
    result = cli("score", "far.csv", "--labels", "val", "--data", data, cwd=tmp_path)
    result.fails("far.csv", "12", repr(video))


def test_submissions_and_labels_of_two_data_sets_are_refused(cli, data, folder):
    (folder / "wide.parquet").write_bytes(parquet(num_classes=100))
    result = cli("score", "wide.parquet", "--labels", "val", "--data", data, cwd=folder)
    result.fails("num_classes=100", "num_classes=12")
    result = cli("ensemble", "good.parquet", "wide.parquet", "-o", "out.parquet", cwd=folder)
    result.fails("wide.parquet", "good.parquet", "num_classes=100")
    assert (folder / "out.parquet").read_bytes() == b"what was there"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,labels\nv0,1 x\n", ["row 0 (id 'v0')", "'x'"]),
        (b"id,labels\nv0,1\nv0,2\n", ["row 1", "'v0'"]),
        (b"id,labels\nv0,1\nv1,2 2\n", ["row 1 (id 'v1')", "label 2"]),
        (b"id,labels\nv0,-2\n", ["row 0 (id 'v0')", "-2"]),
        (b"", ["is empty"]),
        (b"nonsense", ["neither Parquet"]),
        (parquet(), ["a submission where labels were expected", "swapped"]),
        (halved(parquet()), ["cut short"]),
    ],
)
def test_bad_labels_are_named(cli, folder, content, words):
    (folder / "bad").mkdir()
    (folder / "bad" / "truth.csv").write_bytes(content)
    result = cli("score", "good.parquet", "--labels", "bad/truth.csv", cwd=folder)
    result.fails("bad/truth.csv: ", *words)


def test_errors_of_the_installed_script_are_one_line_too(run_cli, folder, snapshot):
    (folder / "bad.parquet").write_bytes(SUBMISSIONS["nan.parquet"][0])
    before = snapshot(folder)
    result = run_cli("ensemble", "good.parquet", "bad.parquet", "-o", "out.parquet", cwd=folder)
    result.fails("bad.parquet: row 3 (id 'v3')")
    run_cli("train", "nothing", cwd=folder).fails("'nothing'")
    run_cli("score", cwd=folder).fails("FILE", rc=2)
    assert snapshot(folder) == before

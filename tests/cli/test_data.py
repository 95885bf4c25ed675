import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SIZES = ("--num-videos", 12, "--num-classes", 5, "--rgb-size", 6, "--audio-size", 4)


def test_synth_repeats_to_the_byte_and_follows_the_seed(cli, snapshot, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        cli("data", "synth", "-o", name, *SIZES, "--seed", seed, cwd=tmp_path).succeeds()
    made = snapshot(tmp_path / "a")
    shards = {"train-00000.tfrecord", "val-00000.tfrecord"}
    assert set(made) == {*shards, "vocabulary.csv", "truth.json"}
    assert made == snapshot(tmp_path / "b")
    assert made["train-00000.tfrecord"] != snapshot(tmp_path / "c")["train-00000.tfrecord"]


def test_the_command_that_synth_names_works(cli, tmp_path):
    result = cli("data", "synth", "-o", "corpus", *SIZES, "--max-frames", 60, cwd=tmp_path)
    said = result.succeeds().stdout.splitlines()
    assert said[0].startswith("corpus: 10 + 2 videos (train, val), 5 labels: ")
    words = said[1].removeprefix("next: gapkit ").split()
    files = [str(path) for path in sorted(tmp_path.glob("corpus/train-*.tfrecord"))]
    words[words.index("corpus/train-*.tfrecord") : words.index("-o")] = files
    imported = cli(*words, cwd=tmp_path).succeeds()
    assert imported.stdout.startswith(
        "data/train: 10 videos, frame level, rgb 6 + audio 4, 5 labels (from "
    )
    assert imported.stdout.endswith("corpus/vocabulary.csv), stride 5\n")


def test_importing_the_same_files_again_says_so(cli, corpus, tmp_path, snapshot):
    command = ("data", "import", *sorted(corpus.glob("val-*")), "-o", tmp_path / "val")
    cli(*command).succeeds()
    before = snapshot(tmp_path)
    assert "complete already, 60 videos" in cli(*command).succeeds().stdout
    assert snapshot(tmp_path) == before


def test_other_files_need_overwrite(cli, corpus, tmp_path, snapshot):
    cli("data", "import", *corpus.glob("val-*"), "-o", tmp_path / "val").succeeds()
    before = snapshot(tmp_path)
    command = ("data", "import", *corpus.glob("train-*"), "-o", tmp_path / "val")
    cli(*command).fails(tmp_path / "val", "--overwrite")
    assert snapshot(tmp_path) == before
    assert "240 videos" in cli(*command, "--overwrite").succeeds().stdout
    assert pq.read_metadata(tmp_path / "val" / "labels.parquet").num_rows == 240


@pytest.mark.parametrize("command", ["synth", "import"])
def test_a_folder_with_foreign_files_is_never_replaced(cli, corpus, tmp_path, snapshot, command):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("ten years")
    before = snapshot(tmp_path)
    options = SIZES if command == "synth" else sorted(corpus.glob("val-*"))
    result = cli("data", command, *options, "-o", "out", "--overwrite", cwd=tmp_path)
    result.fails("out", "thesis.tex", "Choose another folder")
    assert snapshot(tmp_path) == before


def test_info_prints_the_figures_of_each_split(cli, data):
    lines = cli("data", "info", data).succeeds().stdout.splitlines()
    table = {line.split()[0]: line.split() for line in lines[1:3]}
    assert table["train"][:4] == ["train", "240", "frame", "rgb:16+audio:8"]
    assert table["val"][:4] == ["val", "60", "frame", "rgb:16+audio:8"]
    labels = pq.read_table(data / "val" / "labels.parquet")
    assert table["val"][4] == f"{sum(labels['num_frames'].to_pylist()):,}"
    assert table["val"][5:7] == ["5", "12"]
    assert table["val"][7] == f"{len(labels['labels'].combine_chunks().flatten()) / 60:.2f}"
    assert lines[3].startswith("train: most frequent ")
    one = cli("data", "info", data / "val").succeeds().stdout.splitlines()
    assert one[1].split() == table["val"]


@pytest.mark.parametrize("options", [("--num-classes", 20), ("--num-classes", 12)])
def test_num_classes_overrides_the_vocabulary_beside(cli, corpus, tmp_path, options):
    command = ("data", "import", *corpus.glob("val-*"), "-o", tmp_path / "val", *options)
    assert f"{options[1]} labels (from --num-classes)" in cli(*command).succeeds().stdout


def test_unknown_number_of_labels_names_the_options(cli, corpus, tmp_path, snapshot):
    file = tmp_path / "alone.tfrecord"
    file.write_bytes((corpus / "val-00000.tfrecord").read_bytes())
    before = snapshot(tmp_path)
    command = ("data", "import", file, "-o", tmp_path / "data" / "val")
    cli(*command).fails(file, "--num-classes", "--vocabulary")
    assert snapshot(tmp_path) == before
    cli(*command, "--vocabulary", corpus / "vocabulary.csv").succeeds()


def test_a_holdout_is_a_split_like_any_other(cli, data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    command = ("data", "holdout", tmp_path / "data", "--num-videos", 40, "--to", "dev")
    said = cli(*command).succeeds().stdout
    assert said == f"{tmp_path}/data/dev: 40 videos held out of train, which keeps 200\n"
    assert "complete already, 40 videos" in cli(*command).succeeds().stdout
    options = ("--data", tmp_path / "data", "--split", "dev", "-o", tmp_path / "p.parquet")
    cli("predict", "stranger_prior", *options).succeeds()
    scored = cli(
        "score", tmp_path / "p.parquet", "--labels", "dev", "--data", tmp_path / "data", "--json"
    ).succeeds()
    assert json.loads(scored.stdout)[0]["num_videos"] == 40
    cli(*command[:4], 200, "--to", "dev").fails("--overwrite", "40 videos")


def test_info_as_json_and_with_names(cli, data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    names = tmp_path / "names.csv"
    rows = [f"{label},word {label},Vertical {label % 2}" for label in range(12)]
    names.write_text("\n".join(["index,name,vertical", *rows]))
    said = cli("data", "names", tmp_path / "data", "--vocabulary", names).succeeds().stdout
    assert said.splitlines()[0] == (
        f"{tmp_path}/data/train: 12 labels in 2 verticals named by {names}"
    )
    train, val = json.loads(cli("data", "info", tmp_path / "data", "--json").succeeds().stdout)
    assert (train["num_videos"], val["num_videos"]) == (240, 60)
    assert train["most_frequent"][0][0].startswith("word ")
    printed = cli("data", "info", tmp_path / "data").succeeds().stdout
    assert f"train: most frequent {train['most_frequent'][0][0]} " in printed
    assert "train: verticals Vertical " in printed
    table = pq.read_table(tmp_path / "data" / "val" / "labels.parquet")
    counts = [len(row) for row in table["labels"].to_pylist()]
    assert f" {min(counts)}-{sorted(counts)[30]}-{max(counts)} " in printed


@pytest.mark.parametrize("command", [("info",), ("names", "--vocabulary", "v.csv")])
def test_what_is_no_folder_of_splits_is_told(cli, tmp_path, command):
    (tmp_path / "v.csv").write_text("index,name\n0,a\n")
    for name, said in (("v.csv", "is a file"), ("none", "no such folder")):
        result = cli("data", command[0], name, *command[1:], cwd=tmp_path)
        result.fails(f"{name}: {said}. Name a folder of splits, or one split")


def test_warnings_go_to_stderr(cli, data, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(data / "val", tmp_path / "data" / split)
    result = cli("data", "info", tmp_path / "data").succeeds()
    assert result.stderr.startswith("note: val: 60 ids in train as well, as 'val-0000")


def test_parts_of_a_corpus_make_the_whole(cli, snapshot, tmp_path):
    cli("data", "synth", "-o", "whole", *SIZES, cwd=tmp_path).succeeds()
    made = {}
    for part in ("1/2", "2/2"):
        result = cli(
            "data", "synth", "-o", "p", *SIZES, "--part", part, "--overwrite", cwd=tmp_path
        )
        said = result.succeeds().stdout
        assert f"part {part}: " in said
        assert "best GAP on val that the noise of the labels allows: 0." in said
        made |= snapshot(tmp_path / "p")
    assert made == snapshot(tmp_path / "whole")
    empty = cli("data", "synth", "-o", "none", *SIZES, "--part", "9/9", cwd=tmp_path).succeeds()
    assert "note: part 9/9 has no shard" in empty.stderr
    assert "next: " not in empty.stdout
    for part in ("3/2", "half", "1/0", "1/x"):
        cli("data", "synth", "-o", "q", *SIZES, "--part", part, cwd=tmp_path).fails(part, rc=2)


def test_a_split_grows_by_append(cli, corpus, tmp_path, snapshot):
    first, *rest = sorted(corpus.glob("train-*")) + sorted(corpus.glob("val-*"))
    cli("data", "import", first, "-o", tmp_path / "all").succeeds()
    num_first = pq.read_metadata(tmp_path / "all" / "labels.parquet").num_rows
    grown = cli("data", "import", first, *rest, "-o", tmp_path / "all", "--append").succeeds()
    assert f"  {300 - num_first} videos added to {num_first}\n" in grown.stdout
    assert "1 file left out: in the split already." in grown.stderr
    before = snapshot(tmp_path)
    again = cli("data", "import", first, "-o", tmp_path / "all", "--append").succeeds()
    assert "complete already, 300 videos" in again.stdout
    assert snapshot(tmp_path) == before
    both = ("--append", "--overwrite")
    cli("data", "import", first, "-o", tmp_path / "all", *both).fails(*both, rc=2)


def test_tables_are_imported_by_from(cli, tmp_path, snapshot):
    table = pa.table(
        {"id": ["a", "b"], "labels": [[1], []], "clip": [[0.5, 1.0]] * 2, "url": ["", ""]}
    )
    pq.write_table(table, tmp_path / "clip.parquet")
    command = ("data", "import", "--from", tmp_path / "clip.parquet", "-o", tmp_path / "d" / "val")
    result = cli(*command, "--num-classes", 3).succeeds()
    assert result.stdout.startswith(
        f"{tmp_path}/d/val: 2 videos, video level, clip 2, 3 labels (from --num-classes)"
    )
    assert "columns without features left out: url." in result.stderr
    before = snapshot(tmp_path)
    pq.write_table(table.rename_columns(["video", "labels", "clip", "url"]), tmp_path / "x.parquet")
    wrong = ("data", "import", "--from", tmp_path / "x.parquet", "-o", tmp_path / "d" / "x")
    cli(*wrong, "--num-classes", 3).fails("x.parquet", "no column 'id'", "video, labels, clip, url")
    cli(*command, tmp_path / "clip.parquet").fails("FILES", "--from", rc=2)
    cli("data", "import", "-o", tmp_path / "d" / "y").fails("FILES", "--from", rc=2)
    cli(*command, "--skip-corrupt").fails("--skip-corrupt", rc=2)
    (tmp_path / "x.parquet").unlink()
    assert snapshot(tmp_path) == before

import numpy as np
import oracles
import pytest

from gapkit.ensemble import average
from gapkit.io import read_predictions

ROWS = {
    "a.csv": {"v0": [(0, 0.75), (1, 0.5)], "v1": [(2, 0.5), (3, 0.25)]},
    "b.csv": {"v0": [(1, 1.0), (2, 0.25)], "v1": [(2, 0.5)], "v2": [(4, 0.125)]},
    "c.csv": {"v1": [(0, 0.625), (5, 0.0)], "v0": [(0, 0.5), (7, 0.5)]},
}


@pytest.fixture
def folder(tmp_path):
    for name, table in ROWS.items():
        lines = [
            f"{video},{' '.join(f'{label} {confidence}' for label, confidence in row)}"
            for video, row in table.items()
        ]
        (tmp_path / name).write_text("\n".join(["VideoId,LabelConfidencePairs", *lines]) + "\n")
    return tmp_path


def expect(path, names, weights=None, top_k=20):
    expected = oracles.ensemble([ROWS[name] for name in names], weights, top_k)
    found = oracles.read_kaggle_csv(path)
    assert list(found) == list(expected)
    for video, row in expected.items():
        assert [(label, np.float32(c)) for label, c in found[video]] == row


def test_uniform_weights_equal_the_oracle(cli, folder):
    result = cli("ensemble", *ROWS, "-o", "out.csv", cwd=folder).succeeds()
    expect(folder / "out.csv", ROWS)
    assert result.stdout.startswith("out.csv: 3 videos, mean of 3 members, top ")
    named = cli("ensemble", *ROWS, "-o", "same.csv", "--weights", "uniform", cwd=folder)
    named.succeeds()
    assert (folder / "same.csv").read_bytes() == (folder / "out.csv").read_bytes()


@pytest.mark.parametrize("weights", ["0.5,0.3,0.2", "5,3,2", "1,0,0", "0,1e-3,7"])
def test_weights_equal_the_oracle(cli, folder, weights):
    cli("ensemble", *ROWS, "-o", "out.csv", "--weights", weights, cwd=folder).succeeds()
    expect(folder / "out.csv", ROWS, [float(weight) for weight in weights.split(",")])


def test_top_k_cuts_after_the_average(cli, folder):
    cli("ensemble", *ROWS, "-o", "out.csv", "--top-k", 2, cwd=folder).succeeds()
    expect(folder / "out.csv", ROWS, top_k=2)


def test_missing_videos_are_noted(cli, folder):
    result = cli("ensemble", *ROWS, "-o", "out.csv", cwd=folder).succeeds()
    assert [line.split(",")[0] for line in result.stderr.splitlines()] == [
        "note: a.csv: lacks 1 video of the others",
        "note: c.csv: lacks 1 video of the others",
    ]


def test_output_is_ensemble_parquet_by_default(cli, folder):
    cli("ensemble", "a.csv", "b.csv", cwd=folder).succeeds()
    assert {path.name for path in folder.iterdir()} == {*ROWS, "ensemble.parquet"}
    cli("ensemble", "ensemble.parquet", "-o", "out.csv", cwd=folder).succeeds()
    expect(folder / "out.csv", ["a.csv", "b.csv"])


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz"])
def test_suffix_chooses_the_format(cli, folder, suffix):
    heads = {"parquet": b"PAR1", "arrow": b"ARROW1", "csv": b"VideoId", "csv.gz": b"\x1f\x8b"}
    cli("ensemble", *ROWS, "-o", f"new/out.{suffix}", cwd=folder).succeeds()
    assert (folder / "new" / f"out.{suffix}").read_bytes().startswith(heads[suffix])
    cli("ensemble", f"new/out.{suffix}", "-o", "again.csv", cwd=folder).succeeds()
    expect(folder / "again.csv", ROWS)


@pytest.mark.parametrize("output", ["b.csv", "./b.csv", "link.csv", "sub/../b.csv"])
def test_own_input_as_output_is_refused(cli, folder, snapshot, output):
    (folder / "link.csv").symlink_to("b.csv")
    (folder / "sub").mkdir()
    before = snapshot(folder)
    result = cli("ensemble", "a.csv", "b.csv", "-o", output, cwd=folder)
    result.fails(output.removeprefix("./"), "-o", rc=2)
    assert snapshot(folder) == before


def test_an_existing_output_is_replaced(cli, folder):
    (folder / "out.csv").write_text("old")
    cli("ensemble", *ROWS, "-o", "out.csv", cwd=folder).succeeds()
    expect(folder / "out.csv", ROWS)


def test_installed_script_writes_the_same(run_cli, cli, folder):
    cli("ensemble", *ROWS, "-o", "in.parquet", cwd=folder).succeeds()
    run_cli("ensemble", *ROWS, "-o", "out.parquet", cwd=folder).succeeds()
    assert (folder / "in.parquet").read_bytes() == (folder / "out.parquet").read_bytes()


@pytest.mark.parametrize("mode", ["mean", "logit", "rank", "rrf", "max"])
@pytest.mark.parametrize("fill", ["zero", "minimum"])
def test_modes_write_what_average_returns(cli, folder, mode, fill):
    options = ("--mode", mode, "--fill", fill)
    cli("ensemble", *ROWS, "-o", "out.parquet", *options, cwd=folder).succeeds()
    expected = average([read_predictions(folder / name) for name in ROWS], mode=mode, fill=fill)
    assert read_predictions(folder / "out.parquet") == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mode", "median"), ["'median'", "logit"]),
        (("--fill", "one"), ["'one'", "minimum"]),
        (("--mode", "max", "--weights", "1,2,3"), ["weight 2", "'max'"]),
        (("--weights", "none.json"), ["--weights none.json", "commas"]),
    ],
)
def test_wrong_modes_are_bad_usage(cli, folder, options, words):
    cli("ensemble", *ROWS, *options, cwd=folder).fails(*words, rc=2)
    assert {path.name for path in folder.iterdir()} == set(ROWS)


def test_weights_come_from_a_file_by_order(cli, folder):
    text = '{"members": ["x", "y", "z"], "weights": [0.5, 0.25, 0.25], "mode": "rank"}'
    (folder / "w.json").write_text(text)
    cli("ensemble", *ROWS, "-o", "out.parquet", "--weights", "w.json", cwd=folder).succeeds()
    members = [read_predictions(folder / name) for name in ROWS]
    weights = [0.5, 0.25, 0.25]
    expected = average(members, weights, mode="rank")
    assert read_predictions(folder / "out.parquet") == expected
    cli("ensemble", *ROWS, "-o", "two.parquet", "--weights", "out.parquet", cwd=folder).succeeds()
    assert (folder / "two.parquet").read_bytes() == (folder / "out.parquet").read_bytes()
    options = ("--weights", "w.json", "--mode", "mean")
    cli("ensemble", *ROWS, "-o", "mean.parquet", *options, cwd=folder).succeeds()
    assert read_predictions(folder / "mean.parquet") == average(members, weights)
    two = cli("ensemble", "a.csv", "b.csv", "-o", "x.csv", "--weights", "w.json", cwd=folder)
    two.fails("w.json: 3 weights for 2 members", rc=2)


def test_quoted_patterns_are_expanded(cli, folder):
    cli("ensemble", "[a-c].csv", "-o", "out.csv", cwd=folder).succeeds()
    expect(folder / "out.csv", ROWS)
    cli("ensemble", "x*.csv", "-o", "no.csv", cwd=folder).fails("x*.csv: no file matches")
    cli("ensemble", "*.csv", "-o", "out.csv", cwd=folder).fails("out.csv is among", rc=2)


def test_strict_refuses_a_missing_video(cli, folder, snapshot):
    before = snapshot(folder)
    result = cli("ensemble", *ROWS, "-o", "out.csv", "--strict", cwd=folder)
    result.fails("a.csv: lacks 1 of 3 videos", "'v2'")
    assert snapshot(folder) == before


def test_labels_print_the_score_of_the_result(cli, folder):
    (folder / "truth.csv").write_text("id,labels\nv0,1\nv1,2 3\nv2,4\n")
    options = ("-o", "out.parquet", "--labels", "truth.csv")
    result = cli("ensemble", *ROWS, *options, cwd=folder).succeeds()
    scored = cli("score", "out.parquet", "--labels", "truth.csv", cwd=folder).succeeds()
    assert result.stdout.splitlines()[1:] == scored.stdout.splitlines()[1:]
    absent = cli("ensemble", *ROWS, "-o", "no.csv", "--labels", "none.csv", cwd=folder)
    absent.fails("none.csv: no such file")
    assert not (folder / "no.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "mean of 3 members"),
        (("--weights", "2,2,2"), "mean of 3 members"),
        (("--weights", "3,2,1"), "weighted mean of 3 members"),
        (("--mode", "max"), "maximum of 3 members"),
        (("--mode", "rrf", "--weights", "3,2,1"), "weighted mean reciprocal rank of 3 members"),
    ],
)
def test_what_was_done_is_printed(cli, folder, options, words):
    result = cli("ensemble", *ROWS, "-o", "out.csv", *options, cwd=folder).succeeds()
    assert result.stdout == f"out.csv: 3 videos, {words}, top 4\n"

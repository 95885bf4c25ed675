import numpy as np
import oracles
import pytest

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

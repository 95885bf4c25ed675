"""`gapkit average`: a new checkpoint of a run, scored beside those that it is made of."""


def test_it_tells_what_it_took_and_predicts(cli, data, tmp_path):
    cli("train", "mean_lr", "--data", data, "-o", "run", "--epochs", "3",
        "--set", "keep_every=1", cwd=tmp_path).succeeds()  # fmt: skip
    result = cli(
        "average", "run", "--method", "greedy", "--data", data, "--split", "val", cwd=tmp_path
    ).succeeds()
    assert result.stdout.count("checkpoint-") >= 4
    assert "next: gapkit predict run --checkpoints average" in result.stdout
    cli("predict", "run", "--checkpoints", "average", "--data", data, "-o", "a.parquet",
        cwd=tmp_path).succeeds()  # fmt: skip
    cli("average", "run", "--data", data, cwd=tmp_path).fails("is there already", "--overwrite")
    cli("average", "run", "--method", "greedy", cwd=tmp_path).fails("--split val", rc=2)

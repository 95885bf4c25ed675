HEADER = "VideoId,LabelConfidencePairs\n"


def test_a_good_file_is_described(cli, submission):
    result = cli("check", submission).succeeds()
    assert result.stdout.startswith(
        f"{submission}: ok, 60 videos, 720 predictions, top 12, num_classes 12, confidences from 0."
    )


def test_short_rows_and_odd_confidences_are_pointed_out(cli, tmp_path):
    (tmp_path / "odd.csv").write_text(HEADER + "a,0 1.5 3 0.25\nb,1 0.5\n")
    result = cli("check", "odd.csv", cwd=tmp_path).succeeds()
    first, short, outside = result.stdout.splitlines()
    assert "2 videos, 3 predictions, top 2, num_classes unknown" in first
    assert "from 0.25 to 1.5" in first
    assert "1 video with fewer than 2 labels" in short
    assert "outside [0, 1]" in outside


def test_every_file_is_checked_and_each_wrong_one_named(cli, submission, tmp_path):
    (tmp_path / "nan.csv").write_text(HEADER + "a,0 nan\n")
    (tmp_path / "empty.csv").write_text("")
    result = cli("check", "nan.csv", submission, "empty.csv", cwd=tmp_path)
    assert result.rc == 1
    first, second = result.errors
    assert first.startswith("error: nan.csv: row 0 (id 'a')")
    assert second.startswith("error: empty.csv: the file is empty")
    assert [line for line in result.stdout.splitlines() if "ok" in line] == [
        result.stdout.splitlines()[0]
    ]


def test_an_empty_submission_is_fine(cli, tmp_path):
    (tmp_path / "none.csv").write_text(HEADER)
    assert "0 videos, 0 predictions" in cli("check", tmp_path / "none.csv").succeeds().stdout

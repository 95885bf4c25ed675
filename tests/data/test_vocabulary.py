import pytest

from gapkit.data._vocabulary import find_vocabulary, read_vocabulary
from gapkit.errors import DataError


def write(path, text, **options):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", **options)
    return path


@pytest.mark.parametrize(
    "text",
    [
        'index,name\n0,Vehicle\n1,Gâteau\n2,"A, b"\n',
        'index,name,vertical\r\n2,"A, b",x\r\n0,Vehicle,y\r\n1,Gâteau,z\r\n',
        '\ufeffindex,mid,display_name\n0,/m/1,Vehicle\n1,/m/2,Gâteau\n2,/m/3,"A, b"\n',
    ],
)
def test_names_are_read_by_index(tmp_path, text):
    path = write(tmp_path / "v.csv", text, newline="")
    found = read_vocabulary(path)
    assert found.names == ["Vehicle", "Gâteau", "A, b"]
    assert (found.num_classes, found.source) == (3, str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["index,name"]),
        ("index,name\n", ["index,name"]),
        ("number,name\n0,a\n", ["number,name", "index,name"]),
        ("index,word\n0,a\n", ["index,word", "index,name"]),
        ("index,name\n0,a\nx,b\n", ["line 3", "'x'"]),
        ("index,name\n0,a\n-1,b\n", ["line 3", "'-1'"]),
        ("index,name\n0,a\n1,b\n0,c\n", ["line 4", "'0'"]),
        ("index,name\n0,a\n2,b\n", ["label 1 is missing"]),
        ("index,name\n1,a\n2,b\n", ["label 0 is missing"]),
    ],
)
def test_wrong_vocabularies_are_refused_by_line(tmp_path, text, words):
    path = write(tmp_path / "v.csv", text)
    with pytest.raises(DataError) as error:
        read_vocabulary(path)
    assert str(error.value).startswith(str(path))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_absent_and_binary_vocabularies_are_refused(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"index,name\n0,\xff\xfe\n")
    for name in ("absent.csv", "b.csv", ""):
        with pytest.raises(DataError, match=str(tmp_path / name)):
            read_vocabulary(tmp_path / name)


def find(files, num_classes=None, vocabulary=None, known_classes=None):
    return find_vocabulary(
        files, num_classes=num_classes, vocabulary=vocabulary, known_classes=known_classes
    )


def test_what_is_told_goes_before_what_lies_beside_and_what_is_known(tmp_path):
    told = write(tmp_path / "told.csv", "index,name\n0,a\n")
    file = tmp_path / "x.tfrecord"
    beside = write(tmp_path / "vocabulary.csv", "index,name\n0,a\n1,b\n")
    assert find([file], vocabulary=told, known_classes=9).source == str(told)
    assert find([file], num_classes=5, known_classes=9).num_classes == 5
    assert find([file], known_classes=9).source == str(beside)
    beside.unlink()
    assert find([file], known_classes=9).num_classes == 9


def test_the_number_must_be_that_of_the_vocabulary(tmp_path):
    told = write(tmp_path / "told.csv", "index,name\n0,a\n")
    assert find([], num_classes=1, vocabulary=told).names == ["a"]
    with pytest.raises(DataError, match=r"--num-classes 2 .*told\.csv has 1"):
        find([], num_classes=2, vocabulary=told)


def test_vocabularies_beside_files_of_two_folders_must_agree(tmp_path):
    for folder in "ab":
        write(tmp_path / folder / "vocabulary.csv", "index,name\n0,x\n")
    files = [tmp_path / folder / "1.tfrecord" for folder in "ab"]
    assert find(files).names == ["x"]
    write(tmp_path / "b" / "vocabulary.csv", "index,name\n0,y\n")
    with pytest.raises(DataError, match=r"a/vocabulary\.csv and .*b/vocabulary\.csv differ"):
        find(files)


def test_an_unknown_number_names_the_options(tmp_path):
    with pytest.raises(DataError, match=r"x\.tfrecord.*--num-classes N or --vocabulary FILE"):
        find([tmp_path / "x.tfrecord"])

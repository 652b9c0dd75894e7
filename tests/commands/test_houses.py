import argparse
import csv
import json

import pytest
from page_law import broken

from jaxd2l.cli import main
from jaxd2l.cli.arguments import houses as arguments
from jaxd2l.commands import houses

HEADER = "Id,Area,Street,SalePrice"
pytestmark = pytest.mark.usefixtures("unoptimised")
QUICK = ["houses", "--folds", "3", "--epochs", "2", "--no-peers", "--no-report"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A training file of 30 rows and a test file of 4 without prices, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i * 37 % 101},{'Pave' if i % 3 else 'Grvl'},{1000 * (50 + i * 37 % 101)}" for i in range(30)]
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    test.write_text("Id,Area,Street\n100,50,Pave\n101,NA,Grvl\n102,3,Dirt\n103,90,NA\n", encoding="utf-8")
    return train, test


@pytest.mark.slow
def test_a_users_files_end_in_a_submission_and_a_json_line(files, capsys):
    train, test = files
    page = train.parent / "pages" / "report.html"
    options = ["--folds", "3", "--epochs", "2", "--out", str(page.parent), "--json"]
    code = main(["houses", "--train", str(train), "--test", str(test), *options])
    out = capsys.readouterr().out.splitlines()
    assert code == 0
    summary = json.loads(out[-1])
    assert summary["report"] == str(page)
    assert broken(page.read_text(encoding="utf-8")) == []
    assert {"log_rmse", "log_rmse_deviation", "configuration", "seconds", "test_log_rmse"} <= set(summary)
    assert summary["test_log_rmse"] is None
    assert summary["log_rmse"] == min(row["log_rmse"] for row in summary["models"][:3])
    assert len(summary["models"]) == 5  # ours and scikit-learn's
    lines = (train.parent / "submission.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["Id", "100", "101", "102", "103"]
    assert all(float(line.split(",")[1]) > 0 for line in lines[1:])
    assert any("taken as none of the known: Street 2" in line for line in out)


@pytest.mark.parametrize(
    ("train", "test", "code", "message"),
    [
        ("Id,a,SalePrice\n1,2,-3\n2,2,3\n", None, 65, "SalePrice is -3 at row 1"),
        ("Id,a,SalePrice\n1,2\n", None, 65, "line 2: 2 fields"),
        ("Id,a\n1,2\n", None, 65, "no target column"),
        ("", None, 65, "empty"),
        (b"Id,a,SalePrice\n1,\xff,3\n", None, 65, "not UTF-8"),
        ("Id,a,SalePrice\n1,2,3\n1,3,3\n", None, 65, "duplicate"),
        (None, "Id,Area\n1,2\n", 65, "without Street"),
        (None, "Id,Area,Street\n1,2,Pave\n1,3,Pave\n", 65, "duplicate"),
        (None, "Id,Area,Street\n1,large,Pave\n", 65, "holds 'large'"),
        (None, "Id,Area,Street\n1,1e60,Pave\n", 65, "too large for float32"),
        ("Id,a,SalePrice\n1,2,3\n2,3,3\n3,x,3\n4,5,3\n5,6,3\n", None, 65, "column a holds 'x' at row 3"),
        ("Id,a,SalePrice\n1,2,3\n2,inf,3\n", None, 65, "column a is infinite at row 2"),
        ("Id,a,SalePrice\n1,2,3\n2,3,3\n3,1e300,3\n4,5,3\n5,6,3\n6,7,3\n", "Id,a\n1,2\n", 65, "too large for float32"),
        ("Id,a,SalePrice\n1,2,3\n2,3,3\n3,4,3\n", "Id,a\n1,2\n", 65, "1 training row: no usable column"),
        ("Id;a;SalePrice\n1;2;3\n", None, 65, "separated by semicolons"),
        ("Id,a,SalePrice\n1,2,$3\n", None, 65, "SalePrice is $3"),
        ("<html><body>404</body></html>", None, 65, "a web page"),
        (b"PK\x05\x06" + bytes(18), None, 65, "a zip archive: unpack it"),
    ],
)
def test_bad_files_end_in_one_line_and_exit_code_65(files, capsys, train, test, code, message):
    paths = files
    for path, text in zip(paths, (train, test), strict=True):
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["houses", "--train", str(paths[0]), "--test", str(paths[1]), "--folds", "2", "--quiet"]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "train.csv" in error or "test.csv" in error
    assert error.count("\n") == 1
    assert not (paths[0].parent / "submission.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--train", "train.csv"], 2), (["--epochs", "0"], 2), (["--folds", "1"], 2), (["--seed", "-1"], 2)],
)
def test_wrong_use_is_exit_code_2(files, capsys, arguments, code):
    assert main(["houses", *arguments]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_an_absent_file_is_exit_code_74(files, capsys):
    assert main(["houses", "--train", "absent.csv", "--test", "test.csv"]) == 74
    assert "absent.csv" in capsys.readouterr().err


def test_a_submission_that_cannot_be_written_is_said_before_anything_trains(files, capsys):
    base = ["houses", "--no-report", "--train", "train.csv", "--test", "test.csv", "--submission"]
    before = [path.read_bytes() for path in files]
    for name, code, message in (
        ("absent/submission.csv", 74, "absent"),
        (".", 74, "directory"),
        ("train.csv", 2, "is a file that is read here"),
        ("./test.csv", 2, "is a file that is read here"),
    ):
        assert main([*base, name]) == code
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
        assert not captured.out
    assert [path.read_bytes() for path in files] == before


@pytest.mark.slow
def test_the_submission_is_written_before_anything_is_shown(files, monkeypatch):
    def fails(*arguments):
        raise BrokenPipeError

    monkeypatch.setattr(houses, "_table", fails)
    parser = arguments.add_parser(argparse.ArgumentParser().add_subparsers())
    with pytest.raises(BrokenPipeError):
        houses.run(parser.parse_args([*QUICK[1:], "--train", "train.csv", "--test", "test.csv"]))
    assert (files[0].parent / "submission.csv").read_text(encoding="utf-8").startswith("Id,SalePrice\n100,")


@pytest.mark.slow
def test_identifiers_come_back_and_a_family_that_diverges_leaves_the_others(files, capsys):
    train, test = files
    rows = [f"0{i},{i % 7},{1e40 * (1 + i % 7)}" for i in range(12)]  # dollars beyond float32, logarithms within
    train.write_text("\n".join(["Id,Area,SalePrice", *rows]) + "\n", encoding="utf-8")
    test.write_text('Id,Area\n007,2\n7,2\n"a,1",3\n', encoding="utf-8")
    code = main([*QUICK, "--train", str(train), "--test", str(test), "--json"])
    out = capsys.readouterr().out.splitlines()
    assert code == 0
    assert any(
        line.startswith("linear, the book's recipe is left out: every point of the grid diverged") for line in out
    )
    assert [model["model"] for model in json.loads(out[-1])["models"]] == ["linear", "mlp"]
    with (train.parent / "submission.csv").open(newline="", encoding="utf-8") as file:
        assert [record[0] for record in csv.reader(file)] == ["Id", "007", "7", "a,1"]

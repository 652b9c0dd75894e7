import csv
import json

import numpy as np
import pandas as pd
import pytest

import jaxd2l
from jaxd2l.cli import main
from jaxd2l.data import DataWarning
from jaxd2l.data.own import kept_data
from jaxd2l.data.table import apply_table, read_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]

KINDS = ("cat", "cow", "dog")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`kinds`, a run on 3 classes of kinds.csv; `prices`, a regression on prices.csv."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    label, height, x = rng.integers(0, 3, 60), rng.normal(size=60), rng.normal(size=60)
    colour = np.array(["red", "blue"])[rng.integers(0, 2, 60)]
    features = pd.DataFrame({"height": (label + height / 5).round(3), "colour": colour, "x": x.round(3)})
    features.assign(kind=np.array(KINDS)[label]).to_csv(folder / "kinds.csv", index=False)
    features.assign(price=(3 * x + 50).round(2)).to_csv(folder / "prices.csv", index=False)
    options = ["--no-report", "--epochs", "5", "--batch-size", "8", "--learning-rate", ".05", "--quiet", "--target"]
    for recipe, run, target in (("softmax", "kinds", "kind"), ("linear", "prices", "price")):
        data, out = str(folder / f"{run}.csv"), str(folder / run)
        assert main(["train", recipe, *options, target, "--data", data, "--out", out]) == 0
    return folder


def predicted(capsys, *arguments, code=0):
    """The rows of the CSV on stdout, and the lines on stderr."""
    assert main(["predict", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return list(csv.DictReader(out.splitlines())), err.splitlines()


def test_rows_get_the_class_and_probabilities_that_the_network_gives_their_inputs(place, capsys):
    run = jaxd2l.load_run(place / "kinds")
    frame = read_table(place / "kinds.csv")
    x = apply_table(kept_data(run.config).table, frame.drop(columns="kind")).x
    expected = run.predict_proba(x)
    rows, notes = predicted(capsys, place / "kinds", place / "kinds.csv")
    assert [row["row"] for row in rows] == [str(number) for number in range(1, 61)]
    found = np.array([[float(row[f"probability_{kind}"]) for kind in KINDS] for row in rows])
    np.testing.assert_array_equal(found.astype(np.float32), expected)
    assert [row["kind"] for row in rows] == [KINDS[label] for label in run.predict(x)]
    assert [float(row["probability"]) for row in rows] == found.max(axis=1).tolist()
    assert notes == [
        f"note: {place / 'kinds.csv'}: column kind is the target and plays no part; "
        "`jaxd2l evaluate --data` judges by it"
    ]
    data = run.data()
    kind = np.array([row["kind"] for row in rows])[[frame.index[(x == one).all(1)][0] for one in data.test.x]]
    assert (kind == np.array(KINDS)[data.test.y]).mean() == pytest.approx(run.epochs[-1].test_accuracy)


def test_a_frame_and_a_file_are_predicted_from_python_as_arrays_are(place, monkeypatch):
    run = jaxd2l.load_run(place / "prices")
    frame = read_table(place / "prices.csv").drop(columns="price")
    table = kept_data(run.config).table
    expected = run.predict(apply_table(table, frame).x)
    assert expected.shape == (60, 1)
    np.testing.assert_array_equal(run.predict(frame), expected)
    numbers = frame.astype({"x": float, "height": float})[["x", "colour", "height"]]
    np.testing.assert_array_equal(run.predict(numbers), expected)
    assert run.predict(frame[:0]).shape == (0, 1)
    with pytest.warns(DataWarning, match="price is the target"):
        np.testing.assert_array_equal(run.predict(place / "prices.csv", "best"), run.predict(frame, "best"))
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(place))
    with pytest.warns(DataWarning, match="price is the target"):
        np.testing.assert_array_equal(run.predict("~/prices.csv"), expected)
    kinds = jaxd2l.load_run(place / "kinds")
    with pytest.warns(DataWarning, match=r"passed over.*: id, size"):
        named = kinds.predict(frame.assign(id="a", size=1))
    np.testing.assert_array_equal(named, kinds.predict_proba(frame).argmax(axis=1))
    with pytest.raises(jaxd2l.DataError, match=r"table: .*without x"):
        kinds.predict(frame.drop(columns="x"))


def test_identifiers_are_written_as_they_stand_and_the_file_says_what_stdout_says(place, tmp_path, capsys):
    ids = ["007", "NA", "a,b", ' "x"', "007"]
    lines = "\n".join(f'"{name.replace(chr(34), chr(34) * 2)}",{i}.5,red,1' for i, name in enumerate(ids))
    (tmp_path / "rows.csv").write_text(f"price,x,colour,height\n{lines}\n", encoding="utf-8")
    asked = (place / "prices", tmp_path / "rows.csv", "--id", "price")
    out = tmp_path / "out.csv"
    assert main(["predict", *map(str, asked), "--out", str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["price", "price_"]  # no two columns of one name
    assert [row[0] for row in rows] == [one["id"] for one in answer["rows"]] == ids
    assert [np.float32(row[1]) for row in rows] == [np.float32(one["value"]) for one in answer["rows"]]
    assert np.diff([float(row[1]) for row in rows]).min() > 0
    assert (answer["out"], answer["unseen"], answer["passed_over"]) == (str(out), {}, [])
    assert main(["predict", *map(str, asked)]) == 0
    assert capsys.readouterr().out == out.read_text(encoding="utf-8")


def test_a_column_that_names_rows_is_ignored_from_training_on(place, tmp_path, capsys):
    frame, table = pd.read_csv(place / "kinds.csv"), tmp_path / "named.csv"
    frame.assign(id=range(60)).to_csv(table, index=False)
    kept = json.loads((place / "kinds" / "config.json").read_text(encoding="utf-8"))
    options = ["--config", str(place / "kinds"), "--quiet", "--no-report", "--data", str(table)]
    run = tmp_path / "run"
    assert main(["train", *options, "--ignore", "id", "--out", str(run)]) == 0
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert config["own_data"]["sha256"] == kept["own_data"]["sha256"]
    assert config["own_data"]["ignore"] == ["id"]
    rows, notes = predicted(capsys, run, table, "--id", "id")
    assert ([row["id"] for row in rows], len(notes)) == ([str(i) for i in range(60)], 1)  # of the target alone
    assert predicted(capsys, run, place / "kinds.csv")[0] == [
        {"row": str(i), **{name: cell for name, cell in row.items() if name != "id"}} for i, row in enumerate(rows, 1)
    ]
    assert main(["evaluate", str(run), "--data", str(table)]) == 0
    assert main(["train", "--config", str(run), "--quiet", "--no-report", "--out", str(tmp_path / "again")]) == 0
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (place / "kinds", run, tmp_path / "again")]
    assert weights[0] == weights[1] == weights[2]
    del kept["own_data"]["ignore"]  # as a run of before has it
    (place / "kinds" / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    capsys.readouterr()
    assert predicted(capsys, place / "kinds", place / "kinds.csv")[0][0]["row"] == "1"


def test_what_the_training_rows_did_not_have_is_said_once_each(place, tmp_path, capsys):
    text = "kind,colour,height,size,x\ncat,green,1,9,.5\n,green,1,8,.5\n,,,,\n"
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    rows, notes = predicted(capsys, place / "kinds", tmp_path / "rows.csv")
    assert len(rows) == 3
    assert rows[0] | {"row": "2"} == rows[1]
    assert [note.split(": ", 2)[2] for note in notes] == [
        "column kind is the target and plays no part; `jaxd2l evaluate --data` judges by it",
        "passed over, since the training table has no such column: size",
        "categories that no training row has, taken as none of the known, in colour (3 rows)",
    ]
    answer = ("predict", place / "kinds", tmp_path / "rows.csv", "--json", "--top", "2")
    assert main([*map(str, answer)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["unseen"], answer["passed_over"], answer["target"]) == ({"colour": 3}, ["kind", "size"], "kind")
    assert [len(row["predictions"]) for row in answer["rows"]] == [2, 2, 2]
    assert answer["rows"][0]["predictions"][0]["class"] == rows[0]["kind"]


@pytest.mark.parametrize(
    ("text", "more", "code", "words"),
    [
        ("", (), 65, ("rows.csv", "empty")),
        ("x,colour,height\n", (), 65, ("rows.csv", "without rows")),
        ("x,colours,height\n1,red,1\n", (), 65, ("rows.csv", "without colour;", "unexpected colours")),
        ("x,colour,height\n1,red,tall\n", (), 65, ("rows.csv", "'tall' at row 1")),
        ("x,colour,height\n1,red\n", (), 65, ("rows.csv, line 2", "2 fields")),
        ("x,colour,height\n1,red,1e39\n", (), 65, ("rows.csv", "row 1", "float32")),
        ("x,colour,height\n1,red,1\n", ("--id", "Id"), 65, ("'Id'", "x, colour, height")),
        ("x,colour,height\n1,red,1\n", ("rows.csv",), 2, ("one CSV", "2 paths")),
        ("x,colour,height\n1,red,1\n", ("--invert", "yes"), 2, ("--invert", "pictures")),
        ("x,colour,height\n1,red,1\n", ("--top", "0"), 2, ("--top",)),
        ("x,colour,height\n1,red,1\n", ("--out", "rows.csv"), 2, ("--out rows.csv", "read here")),
        ("x,colour,height\n1,red,1\n", ("--out", "no/out.csv"), 74, ("no such folder",)),
        ("x,colour,height\n1,red,1\n", ("--weights", "ema"), 2, ("no averaged weights",)),
    ],
)
def test_what_cannot_be_predicted_is_one_line_and_nothing_is_written(
    place, tmp_path, capsys, monkeypatch, text, more, code, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    _, lines = predicted(capsys, place / "kinds", "rows.csv", *more, code=code)
    assert len(lines) == 1
    assert not [word for word in words if word not in lines[0]], lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == text

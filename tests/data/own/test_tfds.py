import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from picture_files import DIGIT_LABELS, DIGITS, encoded

from jaxd2l import data
from jaxd2l.data import DataError, UnreadableError
from jaxd2l.data.streaming import Course, InOrder, read_ahead

IMAGE = tfds.features.Image(shape=(None, None, 1))
LABEL = tfds.features.ClassLabel(names=["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


def prepare(folder, splits, features=None, damage=()):
    """Prepare a data set as a user would, with the rows of the digits in each split; no TensorFlow is needed."""
    features = {"image": IMAGE, "label": LABEL} if features is None else features

    class TinyDigits(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _manager):
            return {name: self._generate_examples(rows) for name, rows in splits.items()}

        def _generate_examples(self, rows):
            for row in rows:
                values = {"image": encoded(DIGITS[row], "PNG"), "label": int(DIGIT_LABELS[row]), "row": row}
                values["other"] = encoded(DIGITS[row], "PNG")
                if row in damage:
                    values["image"].truncate(60)
                yield row, {name: values[name] for name in features}

    builder = TinyDigits(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_path)


@pytest.fixture(autouse=True)
def _no_cache_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("tfds"), {"train": range(50), "test": range(50, 90), "extra": range(90, 92)})


@pytest.mark.slow
def test_pictures_and_labels_are_those_that_were_prepared(prepared):
    notes = []
    found = data.open_data(f"tfds:{prepared}", on_note=notes.append)
    assert found.name == "tiny_digits"
    assert found.classes == tuple(LABEL.names)
    assert notes == ["tiny_digits: split extra is not read"]
    for part, rows in ((found.train, range(50)), (found.test, range(50, 90))):
        found_rows = [int(np.flatnonzero((picture[..., 0] == DIGITS).all((1, 2)))[0]) for picture in part.x]
        assert sorted(found_rows) == list(rows)
        assert DIGIT_LABELS[found_rows].tolist() == part.y.tolist()
    assert "tensorflow" not in sys.modules
    streamed = data.open_data(f"tfds:{prepared}", on_note=notes.append, stream=True)
    assert streamed.sha256 == found.sha256
    elsewhere = pickle.loads(pickle.dumps(streamed.test.x))  # as a worker process has it
    np.testing.assert_array_equal(elsewhere, found.test.x)


@pytest.mark.slow
def test_a_worker_process_reads_the_batches_that_are_in_memory(prepared):
    resident, streamed = (data.open_data(f"tfds:{prepared}", on_note=print, stream=stream) for stream in (False, True))
    rows = np.random.default_rng(0).permutation(50).reshape(5, 10)
    course = Course(*streamed.train, InOrder(rows), steps=5, passes=1)
    batches = read_ahead(course, 0, 1)
    for chosen, batch in zip(rows, batches, strict=True):
        assert all(np.array_equal(batch[name], a[chosen]) for name, a in zip("xy", resident.train, strict=True))
    batches.close()


@pytest.mark.slow
def test_the_cache_and_the_number_of_threads_do_not_matter(prepared):
    from jaxd2l.data.own.listing.tfds import list_tfds
    from jaxd2l.data.own.open import read
    from jaxd2l.data.own.settings import Settings

    found = [
        read(list_tfds(prepared), Settings(threads=threads, cache=cache, on_note=lambda _: None)).sha256
        for threads, cache in ((1, False), (5, True), (2, True))
    ]
    assert found[0] == found[1] == found[2]


def test_a_data_set_without_a_test_part_is_divided(tmp_path):
    prepared = prepare(tmp_path, {"train": range(60)})
    found = data.open_data(f"tfds:{prepared}", test_fraction=0.3)
    assert len(found.train.x) + len(found.test.x) == 60
    assert np.bincount(found.test.y).min() >= 1


def test_the_folder_above_is_answered_with_the_right_one(prepared):
    with pytest.raises(DataError, match=f"no dataset_info.json in it; try tfds:{prepared}"):
        data.open_data(f"tfds:{prepared.parent.parent}")
    with pytest.raises(DataError, match=f"prepared by tensorflow-datasets; write tfds:{prepared}"):
        data.open_data(str(prepared))


def test_what_is_no_prepared_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="prepare it with tensorflow-datasets first"):
        data.open_data(f"tfds:{tmp_path}")
    (tmp_path / "dataset_info.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="not a prepared data set") as caught:
        data.open_data(f"tfds:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"image": IMAGE, "row": tfds.features.Scalar(np.int64)}, "expected one class label among the features"),
        ({"row": tfds.features.Scalar(np.int64), "label": LABEL}, "expected one image among the features"),
        ({"image": IMAGE, "other": IMAGE, "label": LABEL}, "expected one image .* got image, other"),
    ],
)
def test_features_that_are_no_picture_with_a_label_are_refused(tmp_path, features, message):
    prepared = prepare(tmp_path, {"train": range(9)}, features)
    with pytest.raises(DataError, match=message):
        data.open_data(f"tfds:{prepared}")


def test_missing_splits_and_damaged_pictures_are_named(tmp_path):
    prepared = prepare(tmp_path / "a", {"test": range(9)})
    with pytest.raises(DataError, match="no split train, only test"):
        data.open_data(f"tfds:{prepared}")
    prepared = prepare(tmp_path / "b", {"train": range(30)}, damage=(3, 4))
    with pytest.raises(UnreadableError, match=r"2 of 30 pictures cannot be read: train \d+ \("):
        data.open_data(f"tfds:{prepared}")
    for file in prepared.glob("*array_record*"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="not ArrayRecord"):
        data.open_data(f"tfds:{prepared}")


def test_labels_without_a_name_are_refused(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "cut")
    (tmp_path / "cut" / "label.labels.txt").write_text("zero\none\n", encoding="utf-8")
    with pytest.raises(DataError, match="label 9 has no name, only 2 are kept"):
        data.open_data(f"tfds:{tmp_path / 'cut'}")

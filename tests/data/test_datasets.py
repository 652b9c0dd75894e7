import gzip
import io
import tarfile

import numpy as np
import pytest

from jaxd2l import data
from jaxd2l.data import DATASETS, DataError, cifar, download, load, shapes
from jaxd2l.data import datasets as images


@pytest.fixture(scope="module")
def fashion():
    return data.load("fashion_mnist")


def test_fashion_mnist_is_whole_balanced_and_in_file_order(fashion):
    for part, n in ((fashion.train, 60_000), (fashion.test, 10_000)):
        assert part.x.shape == (n, 28, 28, 1)
        assert part.x.dtype == np.uint8
        assert part.y.dtype == np.int32
        assert np.bincount(part.y).tolist() == [n // 10] * 10
    assert fashion.train.y[:5].tolist() == [9, 0, 0, 3, 0]  # the published order starts with an ankle boot
    assert fashion.classes[9] == "ankle boot"
    assert len(fashion.classes) == 10


def test_images_and_labels_belong_together(fashion):
    # Mean brightness by class: trousers and sandals are dark images, coats and pullovers bright ones.
    brightness = [fashion.train.x[fashion.train.y == k].mean() for k in range(10)]
    assert max(brightness[5], brightness[7]) < min(brightness[2], brightness[4], brightness[6])


def test_the_digest_is_of_the_unpacked_bytes(fashion):
    import hashlib

    digests = dict(fashion.sha256)
    body = b"\0\0\x08\x01" + (10_000).to_bytes(4) + fashion.test.y.astype(np.uint8).tobytes()
    assert digests["t10k-labels-idx1-ubyte"] == hashlib.sha256(body).hexdigest()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A writable copy of the embedded files, found through JAXD2L_DATA_DIR."""
    from importlib import resources

    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    for file in images.DATASETS["fashion_mnist"].files:
        (folder / file.name).write_bytes(
            resources.files("jaxd2l.data").joinpath("fashion_mnist", file.name).read_bytes()
        )
    monkeypatch.setenv("JAXD2L_DATA_DIR", str(tmp_path))
    return folder


@pytest.mark.slow
def test_the_data_folder_is_looked_at_first(copy):
    labels = copy / "t10k-labels-idx1-ubyte.gz"
    (copy / "t10k-labels-idx1-ubyte").write_bytes(gzip.decompress(labels.read_bytes()))  # unpacked is as good
    labels.unlink()
    assert data.load("fashion_mnist").test.y.shape == (10_000,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-100], "truncated gzip"),
        (lambda b: gzip.compress(gzip.decompress(b)[:-1]), "SHA-256"),
        (lambda b: gzip.compress(gzip.decompress(b)[:-1] + b"\x0a"), "SHA-256"),
    ],
    ids=["truncated", "short", "altered"],
)
def test_a_damaged_file_is_refused_and_named(copy, damage, message):
    file = copy / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=f"t10k-labels.*{message}"):
        data.load("fashion_mnist")


@pytest.mark.slow
def test_a_missing_file_in_the_data_folder_is_named(copy):
    (copy / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz is missing"):
        data.load("fashion_mnist")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean fashion_mnist"):
        data.load("fashion-mnist")


def test_an_unreachable_host_is_said_at_once_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXD2L_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(download.socket, "create_connection", _refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(OSError, match=r"cannot reach codh.rois.ac.jp .*put it into .*kmnist"):
        data.load("kmnist")


def _refuse(*_args, **_kwargs):
    raise ConnectionRefusedError("refused")


@pytest.fixture
def served(tmp_path):
    """A file behind a real HTTP server on this machine."""
    import hashlib
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    body = b"published bytes" * 1000
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file.gz").write_bytes(body)

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=tmp_path / "site"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file.gz", body, hashlib.sha256(body).hexdigest()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_download_is_verified_cached_and_needs_no_tensorflow(served, tmp_path):
    import sys

    url, body, digest = served
    path = download.fetch(url, digest, len(body), tmp_path / "cache")
    assert path.read_bytes() == body
    before = path.stat().st_mtime_ns
    assert download.fetch(url, digest, len(body), tmp_path / "cache").stat().st_mtime_ns == before
    assert "tensorflow" not in sys.modules


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_download_with_other_content_is_refused(served, tmp_path):
    url, body, _ = served
    with pytest.raises(download.DownloadError, match=r"downloading file\.gz failed"):
        download.fetch(url, "0" * 64, len(body), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_file_that_the_host_does_not_have_is_a_failed_download(served, tmp_path):
    url, body, digest = served
    with pytest.raises(download.DownloadError, match=r"downloading absent\.gz failed .*404.*; fetch"):
        download.fetch(url.replace("file.gz", "absent.gz"), digest, len(body), tmp_path / "cache")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_what_was_downloaded_needs_no_network_and_what_is_damaged_is_fetched_anew(served, tmp_path, monkeypatch):
    url, body, digest = served
    path = download.fetch(url, digest, len(body), tmp_path)
    assert path == tmp_path / "file.gz"
    path.write_bytes(body[::-1])
    assert download.fetch(url, digest, len(body), tmp_path).read_bytes() == body
    monkeypatch.setattr(download.socket, "create_connection", _refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert download.fetch(url, digest, len(body), tmp_path) == path
    (tmp_path / "downloads").mkdir()
    path.rename(earlier := tmp_path / "downloads" / "host_file_hash.gz")  # as earlier versions left it
    assert download.fetch(url, digest, len(body), tmp_path) == earlier


@pytest.mark.parametrize("proxies", [{"http": "http://proxy.example"}, {"all": "http://proxy.example"}])
def test_where_a_proxy_leads_out_the_host_is_not_probed(proxies, tmp_path, monkeypatch):
    from tensorflow_datasets.core.download import download_manager

    def manager(**_):
        raise OSError("the manager was asked")

    monkeypatch.setattr(download.socket, "create_connection", _refuse)
    monkeypatch.setattr(download_manager, "DownloadManager", manager)
    monkeypatch.setattr("urllib.request.getproxies", lambda: proxies)
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _: False)
    with pytest.raises(OSError, match="the manager was asked"):
        download.fetch("http://host.example/file.gz", "", 1, tmp_path)
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _: True)
    with pytest.raises(OSError, match="cannot reach"):
        download.fetch("http://host.example/file.gz", "", 1, tmp_path)


def test_a_damaged_file_is_named_by_its_path_and_only_a_known_digest_lets_it_lie_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXD2L_DATA_DIR", str(tmp_path))
    (tmp_path / "kmnist").mkdir()
    packed = tmp_path / "kmnist" / "train-images-idx3-ubyte.gz"
    packed.write_bytes(b"other")
    with pytest.raises(DataError, match=r"SHA-256 .* remove it and fetch it again") as refused:
        data.load("kmnist")
    assert str(refused.value).startswith(f"{packed}: ")
    packed.rename(packed.with_suffix(""))
    monkeypatch.setattr(images, "fetch", lambda *_: _refuse())
    with pytest.raises(ConnectionRefusedError):
        data.load("kmnist")


def _cifar_archive(batches):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in batches.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def _cifar_batches():
    rng = np.random.default_rng(3)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    records = {name: rng.integers(0, 256, (2, 3073), dtype=np.uint8) for name in names}
    for table in records.values():
        table[:, 0] %= 10
    return records


def test_cifar10_is_read_channels_last_in_file_order():
    records = _cifar_batches()
    train, test = cifar.read(_cifar_archive({k: v.tobytes() for k, v in records.items()}), "archive")
    assert train.x.shape == (10, 32, 32, 3)
    assert test.x.shape == (2, 32, 32, 3)
    assert train.y.tolist() == [int(v) for i in range(1, 6) for v in records[f"data_batch_{i}.bin"][:, 0]]
    record = records["data_batch_2.bin"][1]
    assert train.x[3, 5, 7, 2] == record[1 + 2 * 1024 + 5 * 32 + 7]  # red plane, green plane, blue plane; rows


def test_a_damaged_cifar10_archive_is_refused():
    batches = {name: table.tobytes() for name, table in _cifar_batches().items()}
    archive = _cifar_archive(batches)
    with pytest.raises(DataError, match="damaged archive"):
        cifar.read(archive[: len(archive) // 2], "archive")
    with pytest.raises(DataError, match="3073-byte records"):
        cifar.read(_cifar_archive(batches | {"test_batch.bin": b"123"}), "archive")
    del batches["data_batch_4.bin"]
    with pytest.raises(DataError, match=r"data_batch_4\.bin is missing"):
        cifar.read(_cifar_archive(batches), "archive")


@pytest.mark.parametrize("name", [name for name, source in DATASETS.items() if source.embedded or source.generate])
def test_the_table_says_what_the_arrays_of_a_data_set_look_like(name):
    told, found = shapes(name), load(name)
    assert told.classes == found.classes
    for part in ("train", "test"):
        for a, b in zip(getattr(told, part), getattr(found, part), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)

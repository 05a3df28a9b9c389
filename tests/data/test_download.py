"""Downloads, from a server on this machine."""

import hashlib
import http.server
import threading
import time
import urllib.error

import pytest

from lmttm.config.files import load_config
from lmttm.data import download
from lmttm.data.download import fetch
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.storage import digest_of

CONTENT = b"volumes" * 50_000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves /whole, /cut (half of what it promises) and /stalls (then nothing)."""

    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/whole":
            self.wfile.write(CONTENT)
        else:
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
            self.wfile.flush()
        if self.path == "/stalls":
            time.sleep(1.5)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_verified_download_gets_its_name(server, tmp_path):
    path = tmp_path / "new" / "file.npz"
    fetch(f"{server}/whole", path, MD5)
    assert path.read_bytes() == CONTENT
    assert digest_of(path, "md5") == MD5
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("page", "md5", "told"),
    [
        ("whole", "0" * 32, f"has MD5 {MD5}"),
        ("cut", MD5, "has MD5"),
        ("missing", MD5, "HTTP Error 404"),
        ("stalls", MD5, "timed out"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(
    server, tmp_path, monkeypatch, page, md5, told
):
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    path = tmp_path / "file.npz"
    with pytest.raises(InputError) as caught:
        fetch(f"{server}/{page}", path, md5)
    message = str(caught.value)
    assert told in message
    assert f"download {server}/{page} by hand and put it at {path} (MD5 {md5})" in message
    assert list(tmp_path.iterdir()) == []


def test_no_network_and_no_file(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    root = tmp_path / "data"
    with pytest.raises(InputError) as caught:
        load_dataset(load_config("base.json", [f"root={root}"]))
    message = str(caught.value)
    assert "adrenalmnist3d.npz cannot be downloaded (Name or service not known)" in message
    assert "https://zenodo.org/records/10519652/files/adrenalmnist3d.npz" in message
    assert f"put it at {root / 'adrenalmnist3d.npz'}" in message
    assert "bbd3c5a5576322bc4cdfea780653b1ce" in message
    assert list(root.iterdir()) == []


def test_root_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="root cannot be made at"):
        load_dataset(load_config("base.json", [f"root={tmp_path / 'file' / 'data'}"]))

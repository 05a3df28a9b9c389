"""The server: only its own page may use it, and no upload brings it down."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import io
import json
import socket
import tempfile
import threading
import time
import urllib.parse
import zipfile
from dataclasses import replace

import nibabel
import numpy as np
import pytest

import lmttm
from lmttm.data import phantoms
from lmttm.serving.answer import Answering
from lmttm.serving.app import is_ours, make_app
from tests.browser import opened, pixels
from tests.report.test_nifti import dicom_scan

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The run and the port of a server in a thread."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as listening:
        patch.setattr(phantoms, "SPLITS", {"train": 8, "val": 8, "test": 8})
        where = ["device=cpu", f"output_dir={tmp_path_factory.mktemp('runs')}"]
        # Not strict: the scans of these tests are noise.
        run = replace(lmttm.open_run("phantommnist3d_28", where), strict=False)
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(Answering(run), port, largest=2**23)
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield run, port
        server.should_exit = True
        thread.join()


def ask(port, path, body=b"", method="POST", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        return response, json.loads(content) if content[:1] == b"{" else content


def upload(port, name, content):
    return ask(port, f"/explain?name={urllib.parse.quote(name)}", content)


def scan(seed=0):
    rng = np.random.default_rng(seed)
    return nibabel.Nifti1Image(rng.integers(0, 255, (40, 36, 30), dtype=np.uint8), np.eye(4))


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


# A header whose voxels are another file of this computer.
POINTING = b"ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_UCHAR\n"
POINTING += f"ElementDataFile = {__file__}\n".encode()


def pickled():
    """An npy file that would run code if it were trusted."""
    file = io.BytesIO()
    np.save(file, np.array([io.BytesIO], dtype=object), allow_pickle=True)
    return file.getvalue()


def claiming(edge):
    """A NIfTI file whose header claims far more than it holds."""
    content = bytearray(scan().to_bytes())
    content[42:48] = np.array([edge] * 3, "<i2").tobytes()
    return bytes(content)


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"host": "127.0.0.1:8000"}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, True),
        ({"host": "127.0.0.1:8000", "sec-fetch-site": "same-origin"}, True),
        ({}, False),
        ({"host": "evil.example:8000"}, False),
        ({"host": "127.0.0.1:8001"}, False),
        ({"host": "127.0.0.1:8000.evil.example"}, False),
        ({"host": "127.0.0.1:8000", "origin": "http://evil.example"}, False),
        ({"host": "127.0.0.1:8000", "origin": "null"}, False),
        ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:9000"}, False),
        ({"host": "127.0.0.1:8000", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_only_the_page_itself_may_ask(headers, ours):
    """Guards against a foreign page that uses the server, also by DNS rebinding."""
    assert is_ours(headers, 8000) == ours


def test_foreign_requests_are_refused_and_headers_are_strict(served):
    _, port = served
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for method, path in (("GET", "/"), ("POST", "/example/0")):
            response, _ = ask(port, path, method=method, **headers)
            assert response.status == 403
    response, html = ask(port, "/", method="GET")
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert b"connect-src 'self'" in html
    assert ask(port, "/docs", method="GET")[0].status == 404


def test_an_upload_gets_the_probabilities_of_predict(served, tmp_path):
    run, port = served
    nibabel.save(scan(), tmp_path / "scan.nii.gz")
    (row,) = run.predict([tmp_path / "scan.nii.gz"]).rows
    response, found = upload(port, "scan.nii.gz", (tmp_path / "scan.nii.gz").read_bytes())
    assert response.status == 200
    assert found["probabilities"] == pytest.approx(row["probabilities"], rel=1e-6)
    assert found["prediction"] == row["prediction"]


def test_a_zip_of_dicom_slices_is_the_series(served, tmp_path):
    run, port = served
    series = dicom_scan(tmp_path)
    (row,) = run.predict([series]).rows
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in series.iterdir():
            archive.write(path, f"patient/series/{path.name}")
    response, found = upload(port, "scan.zip", file.getvalue())
    assert response.status == 200
    assert found["probabilities"] == pytest.approx(row["probabilities"], rel=1e-6)
    assert found["heat"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", b"this is a text", "cannot be read"),
        ("a.npy", b"\x93NUMPY\x01\x00", "cannot be read"),
        ("a.txt", b"this is a text", "is not a NIfTI"),
        ("", b"", "is not a NIfTI"),
        ("a.zip", b"no zip", "cannot be unpacked"),
        ("a.zip", zipped("../../evil.dcm", b"x"), "leads outside"),
        ("a.zip", zipped("bomb", bytes(2**20 * 1100)), "must unpack to at most 1024 MB"),
        ("a.zip", zipped("a.txt", b"x"), "the upload"),
        ("<img src=x>.nii", b"x" * 400, "cannot be read"),
        ("a.mhd", POINTING, "must be NIfTI, NumPy or DICOM"),
        ("a.zip", zipped("a.mha", POINTING), "must be NIfTI, NumPy or DICOM"),
        ("a.npy", pickled(), "must hold numbers"),
        ("a.nii", claiming(30000), "more than can be right"),
        ("a.zip", zipped("inner.zip", zipped("a.dcm", b"x")), "DICOM slices"),
    ],
    ids=range(14),
)
def test_a_hostile_upload_gets_a_message_and_the_server_lives(served, name, content, message):
    _, port = served
    response, found = upload(port, name, content)
    assert response.status == 422
    assert message in found["error"]
    assert "/tmp" not in found["error"]
    assert ask(port, "/", method="GET")[0].status == 200


def test_two_gigabytes_are_refused_before_they_are_sent(served):
    _, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = f"POST /explain?name=a.nii HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        connection.sendall(f"{head}Content-Length: {2**31}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(200)
    # Without a length the body is counted as it comes.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        chunks = (bytes(2**20) for _ in range(9))
        with contextlib.suppress(ConnectionError):
            connection.request("POST", "/explain?name=a.nii", chunks, encode_chunked=True)
        with contextlib.suppress(ConnectionError):
            assert connection.getresponse().status == 413
    assert ask(port, "/", method="GET")[0].status == 200


def test_an_example_that_cannot_be_answered_gets_a_message(served, monkeypatch):
    _, port = served

    def fail(*arguments):
        raise lmttm.InputError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Answering, "__call__", fail)
        response, found = ask(port, "/example/0")
    assert (response.status, found["error"]) == (422, "no answer")
    assert ask(port, "/example/99")[0].status == 404


def test_an_upload_that_ends_early_leaves_nothing(served, tmp_path, monkeypatch):
    """Guards against a scan that stays on the disk, and against a traceback in the log."""
    run, _ = served
    app = make_app(Answering(run), 8000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    events = [{"type": "http.request", "body": b"half", "more_body": True}]
    seen = []

    async def receive():
        seen.append([path.name[:6] for path in tmp_path.iterdir()])
        return events.pop() if events else {"type": "http.disconnect"}

    async def send(message):
        pass

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/explain"}
    scope |= {"raw_path": b"/explain", "query_string": b"name=a.nii", "scheme": "http"}
    scope |= {
        "headers": [(b"host", b"127.0.0.1:8000")],
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    assert ["lmttm-"] in seen  # it had begun
    assert not list(tmp_path.iterdir())


def test_nothing_is_reported_to_a_collector(served):
    """Guards against FastAPI's own telemetry, which sends traces where the environment says."""
    run, _ = served
    app = make_app(Answering(run), 8000)
    if not hasattr(app, "_telemetry"):
        pytest.skip("this FastAPI has no telemetry")
    names = ("tracing", "metrics", "logs", "operation_spans", "auto_configure")
    assert {name: app._telemetry[name] for name in names} == dict.fromkeys(names, False)


def test_ten_uploads_at_once_are_all_answered(served):
    _, port = served
    contents = [scan(seed).to_bytes() for seed in range(10)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda content: upload(port, "a.nii", content), contents))
    assert [response.status for response, _ in answers] == [200] * 10
    alone = [upload(port, "a.nii", content)[1]["probabilities"] for content in contents[:2]]
    assert [found["probabilities"] for _, found in answers[:2]] == alone


def test_the_page_answers_uploads_and_examples(served, tmp_path):
    _, port = served
    nibabel.save(scan(), tmp_path / "scan.nii.gz")
    (tmp_path / "text.nii").write_text("text")
    with opened(f"http://127.0.0.1:{port}/") as (page, faults):
        page.locator("[data-example]").first.click()
        page.wait_for_selector("#answer[data-ready]", timeout=60_000)
        before = pixels(page)
        page.locator("[data-slab]").fill("1")
        assert pixels(page) != before
        page.locator("#file").set_input_files(str(tmp_path / "scan.nii.gz"))
        page.wait_for_selector("#answer a.button", timeout=60_000)
        with page.expect_download() as download:
            page.locator("#answer a.button").click()
        heat = tmp_path / "heat.nii.gz"
        download.value.save_as(heat)
        assert download.value.suggested_filename == "scan-heat.nii.gz"
        assert nibabel.load(heat).shape == (40, 36, 30)
        assert not faults
        page.locator("#file").set_input_files(str(tmp_path / "text.nii"))
        page.wait_for_selector("#state.notice", timeout=60_000)
        assert "cannot be read" in page.locator("#state").inner_text()

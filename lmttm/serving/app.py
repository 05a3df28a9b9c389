"""The server: one page, uploads and examples; for this computer only."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmttm.data.intensity import intensities_of
from lmttm.data.preparation import geometry_of
from lmttm.errors import InputError
from lmttm.report import page
from lmttm.report.style import run_names
from lmttm.serving import sandbox, uploads
from lmttm.serving.answer import Answering

if TYPE_CHECKING:
    from fastapi import FastAPI

READERS = 2  # uploads that are read at a time
_PRIVACY = (
    "Scans stay on this computer: they are read in a process of their own, kept in a temporary "
    "folder until they are answered, and never logged."
)
# FastAPI would send traces, with the names of files, to a collector that the environment names.
_NO_TELEMETRY: Any = dict.fromkeys(
    ("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False
)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_ours(headers: dict[str, str], port: int) -> bool:
    """Whether a request comes from the page itself, not from a foreign one.

    Args:
        headers: Of the request, by names in lower case.
        port: Of the server.
    """
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    if headers.get("host") not in hosts:  # a foreign name that resolves to this computer
        return False
    origin = headers.get("origin")
    if origin is not None and origin not in [f"http://{host}" for host in hosts]:
        return False
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def make_app(
    answering: Answering, port: int, *, largest: int = uploads.LARGEST_UPLOAD
) -> "FastAPI":
    """Builds the server.

    Args:
        answering: The run.
        port: The port that it will have, which Host and Origin must name.
        largest: Bytes of an upload.

    Returns:
        The application.

    Raises:
        InputError: FastAPI is missing.
    """
    try:
        from fastapi import FastAPI, Request, Response
        from fastapi.responses import HTMLResponse, JSONResponse
        from starlette.requests import ClientDisconnect
    except ImportError:
        raise InputError('serve.py needs FastAPI: pip install -e ".[serve]"') from None

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry=_NO_TELEMETRY)
    readers, machine = asyncio.Semaphore(READERS), asyncio.Lock()
    html = _page(answering, largest)
    config = answering.run.config
    geometry, intensities = geometry_of(config), intensities_of(config)

    @app.middleware("http")
    async def guard(request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        if is_ours(dict(request.headers), port):
            response = await follow(request)
        else:
            response = JSONResponse({"error": "this page is for this computer only"}, 403)
        response.headers.update(_HEADERS)
        return response

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse(html)

    @app.post("/example/{number}")
    async def example(number: int) -> JSONResponse:
        if not 0 <= number < len(answering.examples):
            return JSONResponse({"error": "there is no such example"}, 404)
        try:
            async with machine:
                volume = answering.examples[number].volume
                return JSONResponse(await asyncio.to_thread(answering, volume))
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422)

    @app.post("/explain")
    async def explain(request: Request, name: str = "") -> JSONResponse:
        try:
            with tempfile.TemporaryDirectory(prefix="lmttm-") as folder:
                path = await _received(request, Path(folder), name, largest)
                async with readers:
                    path = await asyncio.to_thread(_unzipped, path)
                    scan = await asyncio.to_thread(sandbox.read_apart, path, geometry, intensities)
            async with machine:
                return JSONResponse(await asyncio.to_thread(answering.upload, scan))
        except ClientDisconnect:
            return JSONResponse({"error": "the upload ended early"}, 400)
        except _TooLarge as error:
            return JSONResponse({"error": str(error)}, 413, {"Connection": "close"})
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422)

    return app


class _TooLarge(InputError):
    """An upload beyond the limit."""


async def _received(request: Any, folder: Path, name: str, largest: int) -> Path:
    """Writes the body of a request to a file whose name is ours but for its ending.

    The ending is judged last: a browser shows no answer that comes before it has sent all.
    """
    message = f"an upload must have at most {largest // 2**20} MB"
    if int(request.headers.get("content-length") or 0) > largest:
        raise _TooLarge(message)
    path, size = folder / "upload", 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > largest:
                raise _TooLarge(message)
            file.write(chunk)
    return path.rename(folder / f"upload{uploads.ending_of(name)}")


def _unzipped(path: Path) -> Path:
    if path.suffix != ".zip":
        return path
    folder = path.parent / "unpacked"
    folder.mkdir()
    uploads.unpack(path, folder)
    return folder


def _page(answering: Answering, largest: int) -> str:
    run = answering.run
    return page.page(
        "serve.html",
        title=f"Try {run_names(run.names)}",
        data={"volumes": [], "slabs": None, "largest": largest},
        start=page.asset("serve.js"),
        privacy=_PRIVACY,
        connect="'self'",
        model=run.config.model.in_words,
        trained_on=run.config.dataset_name,
        classes=run.class_names,
        examples=[example.name for example in answering.examples],
        megabytes=largest // 2**20,
    )

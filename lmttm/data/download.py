"""Fetches a file and lets it in only when its MD5 is right."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from lmttm.errors import InputError
from lmttm.storage import digest_of, whole_file

STALL_SECONDS = 30
_CHUNK = 1 << 16


def fetch(url: str, path: Path, md5: str) -> None:
    """Downloads a file, with a progress bar; it gets its name only when it is verified.

    Args:
        url: Where the file is.
        path: Where it goes; the folder is made when it is missing.
        md5: The MD5 that it must have.

    Raises:
        InputError: There is no way to the file, no data came for 30 seconds, or what came
            has another MD5. The text says which file to put where by hand.
    """
    by_hand = f"download {url} by hand and put it at {path} (MD5 {md5})"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"root cannot be made at {path.parent}: {error.strerror}") from None
    with whole_file(path) as temporary:
        try:
            _stream(url, temporary, path.name)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            reason = error.reason if type(error) is urllib.error.URLError else error
            raise InputError(f"{path.name} cannot be downloaded ({reason}); {by_hand}") from None
        if (got := digest_of(temporary, "md5")) != md5:
            raise InputError(f"the download of {path.name} has MD5 {got}; {by_hand}")


def _stream(url: str, target: Path, label: str) -> None:
    with (
        urllib.request.urlopen(url, timeout=STALL_SECONDS) as response,
        target.open("wb") as file,
        tqdm(
            total=int(response.headers.get("Content-Length") or 0) or None,
            desc=label,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
        ) as bar,
    ):
        while chunk := response.read1(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))

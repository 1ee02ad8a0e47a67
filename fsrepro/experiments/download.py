"""Published files: fetched once, whole and right, by as many processes as like."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm

from ..files import DISK_FULL, locked, no_space

__all__ = ["fetched"]

_CHUNK = 2**16
_PATIENCE = 30  # seconds
_NOTHING_MORE = 416  # HTTP: the range begins where the file ends


def fetched(url: str, place: Path, checksum: str) -> Path:
    """The file that ``url`` names, in folder ``place``; downloaded if it is not there already.

    A download that was cut off stays as ``NAME.part``, and the next call goes on from there. What
    is right by its checksum gets its name; programs that start together wait for the first. Needs
    an HTTP server; one that cannot resume sends all again.

    Parameters
    ----------
    url : str
    place : Path
    checksum : str
        Of the published file, ``"md5:..."`` or ``"sha256:..."``.

    Raises
    ------
    FileNotFoundError
        If there is no way to the published file.
    OSError
        If there is no room for it.
    """
    name = Path(urlsplit(url).path).name
    place.mkdir(parents=True, exist_ok=True)
    part = place / f"{name}.part"

    def retrieve() -> Path:
        return Path(pooch.retrieve(url, checksum, name, place, downloader=_Resuming(part)))

    with locked(place / name), no_space(part):
        resumed = part.exists()
        try:
            try:
                return retrieve()
            except ValueError:  # of another checksum
                if not resumed:
                    raise
                return retrieve()  # what was there before was of another file
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_FULL:
                raise
            raise FileNotFoundError(
                f"{name} is not in {place}, and {url} did not give the published file ({error}). "
                "Call again, which goes on from where it was, or fetch it by other means and put "
                "it there."
            ) from None


class _Resuming:
    """Downloads for pooch into ``part``, from where that ends."""

    def __init__(self, part: Path):
        self.part = part

    def __call__(self, url: str, output_file: str, pooch) -> None:
        there = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if there:
            headers["Range"] = f"bytes={there}-"
        with requests.get(url, headers=headers, stream=True, timeout=_PATIENCE) as answer:
            if answer.status_code != _NOTHING_MORE:
                answer.raise_for_status()
                goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")
                self._receive(answer, there if goes_on else 0)
        self.part.replace(output_file)  # pooch compares the checksum, and gives it its name

    def _receive(self, answer, start: int) -> None:
        total = start + int(answer.headers.get("Content-Length", 0))
        bar = tqdm(desc=self.part.stem, total=total, initial=start, unit="B", unit_scale=True)
        with bar, self.part.open("ab" if start else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))

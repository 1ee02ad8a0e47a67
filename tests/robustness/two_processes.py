"""Several processes on the same files: nothing lost, nothing damaged.

    python tests/robustness/two_processes.py [--seconds 60] [--processes 2]

Each writes and reads all formats in turn under the same names, and computes the same sweep and
downloads the same file. What is wrong is printed as JSON, and the exit code is 1.
"""

import argparse
import hashlib
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

CONTENT = bytes(range(256)) * 1000
ROWS = 40


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *arguments):
        pass


def slow_row(n):
    time.sleep(0.002)
    return {"y": n / 7}


def work(folder: Path, number: int, seconds: float, url: str) -> list[str]:
    """What one process does, and what it finds wrong."""
    import numpy as np  # here, because the process that waits needs nothing of it
    import pandas as pd
    from formats import VERSIONS, WRITTEN

    from fsrepro.experiments import results
    from fsrepro.experiments.download import fetched
    from fsrepro.experiments.sweep import Sweep

    faults, rounds, rng = [], 0, np.random.default_rng(number)
    scratch = Path(tempfile.mkdtemp())
    for kind in WRITTEN:
        (scratch / kind.name).mkdir()
    allowed = {}
    for kind in WRITTEN:
        path = scratch / kind.name / kind.file
        contents = []
        for version in VERSIONS:
            kind.write(path, version)
            contents.append(kind.read(path))
        allowed[kind.name] = contents
    expected = pd.DataFrame([{"n": n, **slow_row(n)} for n in range(ROWS)])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
        for kind in WRITTEN:
            path = folder / kind.file
            try:
                kind.write(path, int(rng.integers(2)))
                if kind.name != "results" and kind.read(path) not in allowed[kind.name]:
                    faults.append(f"{kind.name}: another content")
            except Exception as error:
                faults.append(f"{kind.name}: {type(error).__name__}: {error}")
        try:
            sweep = Sweep(folder / "shared.sweep", round=rounds % 3)
            table = sweep.table("t", [{"n": n} for n in range(ROWS)], slow_row)
            if not table.equals(expected):
                faults.append("sweep: another table")
            if rng.integers(2):
                sweep.finish()
            Sweep(folder / f"own-{number}.sweep", n=1).table("t", [{"n": rounds}], slow_row)
            part = {"tables": {}, "headline": {}, "parameters": {}, "data": {}}
            row = {c: number for c in results.HEADLINE_COLUMNS if c not in ("experiment", "commit")}
            results.write(folder, f"mine_{number}", headline_rows=[row] * rounds, **part)
            place = folder / f"cache-{rounds % 5}"
            if rng.integers(3) == 0:
                (place / "file").unlink(missing_ok=True)
            found = fetched(url, place, "md5:" + hashlib.md5(CONTENT).hexdigest())
            try:
                if found.read_bytes() != CONTENT:
                    faults.append("download: another content")
            except FileNotFoundError:
                pass  # the other process has removed it
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}")
    headline = pd.read_csv(folder / "headline.csv", dtype=str)
    if (mine := (headline["experiment"] == f"mine_{number}").sum()) != rounds:
        faults.append(f"headline: {mine} rows of {rounds}")
    kept = Sweep(folder / f"own-{number}.sweep", n=1)
    if len(kept._rows) != rounds:
        faults.append(f"sweep: {len(kept._rows)} rows of {rounds}")
    return [f"process {number}, {rounds} rounds", *faults]


def main(options) -> dict:
    with (
        tempfile.TemporaryDirectory() as folder,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/file"
        command = [sys.executable, __file__, "--seconds", str(options.seconds), "--worker"]
        running = [
            subprocess.Popen([*command, str(n), folder, url], stdout=subprocess.PIPE, text=True)
            for n in range(options.processes)
        ]
        answers = [json.loads(process.communicate()[0]) for process in running]
        server.shutdown()
        left = [path.name for path in Path(folder).rglob(".partial-*")]
    faults = [fault for answer in answers for fault in answer[1:]]
    faults += [f"{name} stays" for name in left]
    return {"done": [answer[0] for answer in answers], "faults": faults}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--worker", nargs=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    warnings.filterwarnings("error", message=".*is damaged.*")
    if options.worker:
        number, folder, url = options.worker
        print(json.dumps(work(Path(folder), int(number), options.seconds, url)))
        sys.exit()
    found = main(options)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))

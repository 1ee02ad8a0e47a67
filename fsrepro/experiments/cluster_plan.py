"""What a run over many pictures costs on a cluster, from what it costs on one machine."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import pandas as pd

from ..conversion.spiking_model import SpikingModel
from .at_scale import evaluate_pictures, packed
from .pictures import Pictures

__all__ = ["cluster_plan", "measure_workers"]


def measure_workers(
    ann: keras.Model,
    snn: SpikingModel,
    pictures: Pictures,
    preprocessing: Callable,
    *,
    processes: int,
    pictures_per_task: int = 32,
    rounds: int = 2,
) -> dict[str, float]:
    """Seconds of :func:`~fsrepro.experiments.evaluate_pictures` with so many processes here.

    Parameters
    ----------
    ann, snn, pictures, preprocessing, pictures_per_task
        As for ``evaluate_pictures``.
    processes : int
        Of a cluster on this machine, one thread each beside those of TensorFlow.
    rounds : int
        How often it runs once all workers have the networks; the fastest counts.

    Returns
    -------
    dict
        ``seconds_per_picture`` of all processes together; ``start_up``, the seconds until they
        work: processes, imports, networks, compilation; ``network_bytes`` that each gets once;
        ``picture_bytes`` that go to and fro for each, its name and its answers;
        ``agreement`` and ``spikes``, which do not depend on the number of processes.
    """
    from distributed import Client, LocalCluster

    started = time.perf_counter()
    with (
        TemporaryDirectory() as folder,
        LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(processes)
        taken = []
        for turn in range(1 + rounds):
            kept = Path(folder, str(turn))  # a file for each, or the second found all done
            found = evaluate_pictures(
                ann, snn, pictures, preprocessing, client=client, checkpoint=kept,
                pictures_per_task=pictures_per_task,
            )  # fmt: skip
            taken.append(time.perf_counter() - started)
            started = time.perf_counter()
        answers = kept.stat().st_size
    cold, *warm = taken
    names = [str(file.relative_to(pictures.folder)) for file in pictures.files]
    return {
        "processes": processes,
        "pictures": len(pictures),
        "seconds_per_picture": min(warm) / len(pictures),
        "start_up": cold - min(warm),
        "network_bytes": sum(map(len, packed(ann, snn))),
        "picture_bytes": (len(json.dumps(names)) + answers) / len(pictures),
        "agreement": found.report.agreement,
        "spikes": found.report.spikes_per_neuron,
    }


def cluster_plan(
    measured: Mapping[str, float],
    workers: Iterable[int],
    *,
    pictures: int = 50_000,
    pictures_per_task: int = 320,
) -> pd.DataFrame:
    r"""The hours that so many ``workers`` take for so many ``pictures``, one row for each.

    .. math:: t = t_0 + s \, n \left\lceil \frac{\lceil N / n \rceil}{w} \right\rceil

    for N pictures in tasks of n, w workers, s seconds for a picture and :math:`t_0` until a worker
    works; what a job waits in a queue comes on top.

    Parameters
    ----------
    measured : mapping
        From :func:`measure_workers` with one process, on a machine like those of the cluster.
    workers : iterable of int
    pictures, pictures_per_task : int

    Returns
    -------
    pandas.DataFrame
        With the columns ``workers``, ``tasks``, ``wall_hours``, ``worker_hours`` (what is billed),
        ``megabytes_sent`` (networks, names and answers; pictures are read where the worker is).

    Raises
    ------
    ValueError
        For a cluster without workers.
    """
    tasks = math.ceil(pictures / pictures_per_task)
    rows = []
    for count in workers:
        if count < 1:
            raise ValueError(f"a cluster has at least one worker, got {count}")
        in_a_row = math.ceil(tasks / count) * pictures_per_task
        hours = (measured["start_up"] + in_a_row * measured["seconds_per_picture"]) / 3600
        at_work = min(count, tasks)
        sent = at_work * measured["network_bytes"] + pictures * measured["picture_bytes"]
        rows.append(
            {
                "workers": count,
                "tasks": tasks,
                "wall_hours": hours,
                "worker_hours": at_work * hours,
                "megabytes_sent": sent / 1e6,
            }
        )
    return pd.DataFrame(rows)

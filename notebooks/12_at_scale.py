# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Notebook: many pictures, many processes
#
# How long does a spiking network take for a picture, with one process and with more on the same
# machine? And how long would all 50,000 pictures of the validation set of ImageNet take on a
# cluster? The second follows from the first: pictures do not depend on one another.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
network = ""  # of ImageNet, as in notebook 07; empty: a small one, untrained, for its time alone
validation = ""  # a CSV of pictures; empty: the few that scikit-image ships, again and again
validation_rows = ""  # the folder in it
images = 64  # how many pictures
calibration_images = 16
steps = 8  # time steps K
budget = 0.6  # synaptic operations for each multiplication of the ANN
processes = [1, 2]  # of workers
pictures_per_task = 16
workers = [1, 4, 16, 64]  # of the cluster that is planned
planned_pictures = 50000
seed = 0

# %% tags=["hide-input"]
import os
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from tqdm import tqdm

from fsrepro import convert
from fsrepro.experiments import models, notebook, pictures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.cluster_plan import cluster_plan, measure_workers
from fsrepro.experiments.picture_stream import arrays
from fsrepro.experiments.preprocessing import Preprocessing

given = notebook.parameters(globals())

# %% tags=["remove-stderr"]
if validation:
    some = pictures.from_table(validation, folder=validation_rows)[:images]
else:
    shipped = pictures.shipped()
    files = tuple(islice(cycle(shipped.files), images))
    some = pictures.Pictures(shipped.folder, files, np.full(images, -1), shipped.classes)
if network:
    net = models.imagenet(network)
    ann, preprocessing = net.model, net.preprocessing
else:
    ann = models.build("small_cnn", (32, 32, 3), len(some.classes), seed=seed)
    preprocessing = Preprocessing(32, mean=127.0, scale=64.0)
x_calibration = arrays(some[:calibration_images], preprocessing)[0]
snn = convert(ann, x_calibration, steps=steps, synops_per_mac=budget, seed=seed)
cores = os.cpu_count()
display(
    Markdown(
        f"**Profile {profile}**: {ann.name}, K = {steps}, {len(some):,} pictures, {cores} cores. "
        "ANN and SNN both see each, and spikes are counted."
    )
)

# %% [markdown]
# ## On this machine
#
# Workers of a Dask cluster, each a process. A picture is always computed in the same company, so
# the answers and the spikes are the same, whatever the number of processes.

# %% tags=["remove-stderr"]
measured = pd.DataFrame(
    [
        measure_workers(
            ann, snn, some, preprocessing,
            processes=count, pictures_per_task=pictures_per_task,
        )
        for count in tqdm(processes)
    ]
)  # fmt: skip
assert measured["spikes"].nunique() == 1
measured["speed"] = measured["seconds_per_picture"][0] / measured["seconds_per_picture"]
shown = ["processes", "seconds_per_picture", "speed", "start_up", "agreement", "spikes"]
notebook.shown(measured, shown).style.hide()

# %% [markdown]
# ## On a cluster
#
# Each worker is a machine like this one with one process; tasks are of 320 pictures.

# %%
plan = cluster_plan(measured.iloc[0], workers, pictures=planned_pictures)
notebook.shown(plan).style.hide()

# %%
one, most = measured.iloc[0], measured.loc[measured["speed"].idxmax()]
result_files.write(
    results,
    "12_at_scale",
    tables={"": measured, "plan": plan},
    headline={
        "network": ann.name, "steps": steps, "images": len(some), "cores": cores,
        "neurons": snn.neurons, "seconds_per_picture": one["seconds_per_picture"],
        "start_up": one["start_up"], "network_megabytes": one["network_bytes"] / 1e6,
        "picture_bytes": one["picture_bytes"], "best_processes": int(most["processes"]),
        "best_speed": most["speed"],
        **{f"hours_{row.workers}": row.wall_hours for row in plan.itertuples()},
    },
    headline_rows=[],
    parameters=given | {"validation": Path(validation).name},
    data={
        "dataset": "imagenet sample" if validation else "shipped pictures",
        "pictures": len(some), "data_sha256": some.checksum,
    },
)  # fmt: skip

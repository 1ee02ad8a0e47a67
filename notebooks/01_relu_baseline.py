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
# # Notebook: the ReLU baseline
#
# A network with ReLU becomes a spiking network with the few-spikes neuron of Stöckl & Maass
# (2021). We look at one neuron, then at its quantiser, then at a whole network: how many time
# steps and spikes does it need for the answers of the trained network?

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
network = "small_cnn"  # small_cnn, resnet8, resnet20, ...
checkpoint = ""  # trained weights; empty: train here
epochs = 40  # of training, if there is no checkpoint
steps = [2, 3, 4, 5, 6, 8, 10]  # the time steps K to measure
images = 500  # test images, from the first
seed = 0

# %% tags=["hide-input"]
import logging
import os
from pathlib import Path

if Path.cwd().name == "notebooks":  # as in JupyterLab; paths are those of the top folder
    os.chdir("..")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its start-up otherwise

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, figures, measures
from fsrepro.conversion import convert
from fsrepro.experiments import datasets, models, training
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

logging.getLogger("tensorflow").setLevel("ERROR")  # importing TensorFlow resets it
figures.set_style()
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))

# %% [markdown]
# ## One neuron, one value
#
# The neuron starts with its input as membrane potential. At every time step it fires if the
# potential has reached the threshold of that step, and a spike subtracts the reset. Below, a
# binary code with K = 6 and range 4 writes one value. The number over a spike is its weight; the
# weights of all spikes add up to the decoded value.

# %%
code = codes.binary(6, scale=4.0)
figures.neuron_trace(code, 2.7)
plt.show()

# %% [markdown]
# ## The quantiser
#
# Seen from outside the neuron is a staircase. The published code rounds down. Lowering every
# threshold by half of the smallest weight makes it round to the nearest value.

# %%
x = np.linspace(-0.5, 4.5, 2001, dtype=np.float32)
floor, nearest = codes.binary(3, 4.0), codes.binary(3, 4.0, rounding=True)
figures.quantiser_curve([floor, nearest], x, np.maximum(x, 0))
plt.show()

# %%
within = np.linspace(0, floor.quantise(x).max(), 100_001, dtype=np.float32)
pd.DataFrame(
    {
        "code": [floor.name, nearest.name],
        "mean squared error": [
            np.mean((c.quantise(within) - within) ** 2) for c in (floor, nearest)
        ],
        "spikes per value": [c.count(within).mean() for c in (floor, nearest)],
    }
).style.format(precision=4).hide()

# %% [markdown]
# ## The trained network

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
ann = models.build(network, data.image_shape, len(data.classes), seed=seed)
if checkpoint:
    models.load_checkpoint(ann, checkpoint)
else:
    training.train(ann, *data.arrays("train"), epochs=epochs, batch_size=64, seed=seed)

test = data.test[:images]
x_test = data.normalise(test.images)
x_calibration = data.normalise(data.calibration.images)
answers = measures.predict_classes(ann, x_test)
ann_accuracy = 100 * float((answers == test.labels).mean())
display(Markdown(f"The ANN answers {ann_accuracy:.2f} % of {len(test):,} test images rightly."))

# %% [markdown]
# ## Accuracy and spikes against time steps
#
# Three settings, each converted with every K and run on the same images:
#
# - **paper**: the binary code that rounds down, with range 25 in every layer;
# - **calibrated**: the same code; every layer has the range of least mean squared error on
#   calibration images, which were held out from training;
# - **calibrated, rounding**: in addition, the code rounds to the nearest value.

# %% tags=["remove-stderr"]
settings = {
    "paper": {"code": "binary_floor", "scale": 25.0},
    "calibrated": {"code": "binary_floor"},
    "calibrated, rounding": {"code": "binary"},
}
reports = {}
for setting, K in tqdm([(s, K) for s in settings for K in steps], desc="settings"):
    snn = convert(ann, x_calibration, steps=K, **settings[setting], seed=seed)
    reports[setting, K] = measures.evaluate(snn, x_test, test.labels, ann=answers)
table = pd.DataFrame(
    {"setting": setting, "code": settings[setting]["code"], **report.row()}
    for (setting, _), report in reports.items()
)
shown = {
    "setting": "setting", "steps": "K", "accuracy": "accuracy %", "agreement": "same answer %",
    "spikes_per_neuron": "spikes per neuron", "synops_per_image": "SynOps per image",
}  # fmt: skip
table[list(shown)].rename(columns=shown).style.format(
    {"accuracy %": "{:.2f}", "same answer %": "{:.2f}", "spikes per neuron": "{:.3f}",
     "SynOps per image": "{:,.0f}"}
).hide()  # fmt: skip

# %%
book_figures.against_steps(table, "accuracy", "accuracy (%)", reference=ann_accuracy)
plt.show()

# %%
book_figures.against_steps(table, "spikes_per_neuron", "spikes per neuron")
plt.show()

# %% [markdown]
# ## Where the spikes are

# %%
most = max(steps)
layers = pd.concat(
    [reports[setting, most].layers.assign(setting=setting) for setting in settings],
    ignore_index=True,
)
figures.spikes_per_layer(layers)
plt.show()

# %% [markdown]
# ## What the spiking network answers
#
# The confusion matrix of the calibrated, rounding network with the most time steps, and some
# images on which a network with the fewest time steps no longer gives the answer of the ANN.

# %%
best = reports["calibrated, rounding", most]
names = np.array(data.classes)
confusion = (
    pd.DataFrame({"label": test.labels, "answer": best.predictions})
    .value_counts(sort=False)
    .sort_index()
    .rename("images")
    .reset_index()
    .assign(label=lambda t: names[t["label"]], answer=lambda t: names[t["answer"]])
)
book_figures.confusion(confusion)
plt.show()

# %%
fewest = reports["calibrated, rounding", min(steps)]
changed = np.flatnonzero(fewest.predictions != answers)[:6]
if len(changed):
    book_figures.examples(
        test.images[changed],
        [f"{names[a]} → {names[b]}" for a, b in zip(
            answers[changed], fewest.predictions[changed], strict=True)],
    )  # fmt: skip
    plt.show()
else:
    print("Every image keeps its answer.")

# %% [markdown]
# ## Results
#
# What the book quotes. How many time steps does a setting need to come within 0.1 points of the
# accuracy of the ANN? Where none suffices, the most time steps are taken.


# %%
def fewest_enough(setting):
    enough = [K for K in steps if reports[setting, K].accuracy >= round(ann_accuracy - 0.1, 6)]
    return reports[setting, min(enough, default=most)]


paper = reports["paper", most]
paper_enough = fewest_enough("paper")
chosen = fewest_enough("calibrated, rounding")
headline = {
    "images": len(test),
    "neurons": best.neurons,
    "least_steps": min(steps),
    "ann_accuracy": ann_accuracy,
    "paper_steps": paper.steps,
    "paper_accuracy": paper.accuracy,
    "paper_agreement": paper.agreement,
    "paper_spikes": paper.spikes_per_neuron,
    "paper_synops": paper.synops_per_image,
    "paper_enough_steps": paper_enough.steps,
    "paper_enough_accuracy": paper_enough.accuracy,
    "paper_enough_agreement": paper_enough.agreement,
    "paper_enough_spikes": paper_enough.spikes_per_neuron,
    "paper_enough_synops": paper_enough.synops_per_image,
    "calibrated_steps": chosen.steps,
    "calibrated_accuracy": chosen.accuracy,
    "calibrated_agreement": chosen.agreement,
    "calibrated_spikes": chosen.spikes_per_neuron,
    "calibrated_synops": chosen.synops_per_image,
    "calibrated_latency": chosen.latency_steps,
    "steps_saved": paper_enough.steps - chosen.steps,
    "most_steps_accuracy": best.accuracy,
    "most_steps_agreement": best.agreement,
    "most_steps_spikes": best.spikes_per_neuron,
    "most_steps_synops": best.synops_per_image,
    "ann_macs": best.ann_macs_per_image,
    "macs": best.macs_per_image,
}
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
result_files.write(
    results,
    "01_relu_baseline",
    tables={"": table, "layers": layers, "confusion": confusion},
    headline=headline,
    headline_rows=[
        {
            "dataset": dataset,
            "network": network,
            "activation": "relu",
            "code": f"binary_floor, range 25 ({setting})" if setting == "paper"
            else f"{settings[setting]['code']} ({setting})",
            "steps": K,
            "fine_tuned": False,
            "images": report.images,
            "ann_accuracy": ann_accuracy,
            "snn_accuracy": report.accuracy,
            "agreement": report.agreement,
            "spikes_per_neuron": report.spikes_per_neuron,
            "synops_per_image": report.synops_per_image,
            "simulator": "keras",
        }
        for (setting, K), report in reports.items()
    ],
    parameters={
        "profile": profile, "dataset": dataset, "network": network, "checkpoint": checkpoint,
        "epochs": epochs, "steps": steps, "images": images, "seed": seed,
    },
    data=data.summary(),
)  # fmt: skip

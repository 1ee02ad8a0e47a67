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
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, figures
from fsrepro.conversion import convert
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

given = notebook.parameters(globals())
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
study = notebook.Study.of(
    data, network, images=images, checkpoint=checkpoint, epochs=epochs, seed=seed
)
Markdown(str(study))

# %% [markdown]
# ## Accuracy and spikes against time steps
#
# Three settings, each converted with every K and run on the same images:
#
# - **paper**: the binary code that rounds down, with range 25 in every layer;
# - **calibrated**: the same code; every layer has the range of least mean squared error on
#   calibration images, which were held out from training;
# - **calibrated, rounding**: in addition, the code rounds to the nearest value.
#
# Bars around accuracies are the 95 percent intervals of their difference to the ANN, on the same
# images.

# %% tags=["remove-stderr"]
settings = {
    "paper": {"code": "binary_floor", "scale": 25.0},
    "calibrated": {"code": "binary_floor"},
    "calibrated, rounding": {"code": "binary"},
}
reports, rows = {}, []
for setting, K in tqdm([(s, K) for s in settings for K in steps], desc="settings"):
    snn = convert(study.ann, study.x_calibration, steps=K, **settings[setting], seed=seed)
    reports[setting, K] = report = study.report(snn)
    named = {"setting": setting, "code": settings[setting]["code"]}
    rows.append({**named, **report.row(), **study.held_out(snn)})
table = pd.DataFrame(rows)
shown = ["setting", "steps", "accuracy", "agreement", "spikes_per_neuron", "synops_per_image"]
notebook.shown(table, shown).style.hide()

# %%
book_figures.against_steps(table, reference=study.accuracy)
plt.show()

# %%
book_figures.against_steps(table)
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
    pd.DataFrame({"label": study.labels, "answer": best.predictions})
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
changed = np.flatnonzero(fewest.predictions != study.answers)[:6]
if len(changed):
    book_figures.examples(
        data.test.images[changed],
        [f"{names[a]} → {names[b]}" for a, b in zip(
            study.answers[changed], fewest.predictions[changed], strict=True)],
    )  # fmt: skip
    plt.show()
else:
    print("Every image keeps its answer.")

# %% [markdown]
# ## Results
#
# What the book quotes. How many time steps does a setting need to come within 0.1 points of the
# accuracy of the ANN, on the calibration images? Where none suffices, the most are taken.


# %%
def fewest_enough(setting):
    rows = table[table["setting"] == setting].set_index("steps", drop=False)
    enough = rows["calibration_accuracy"] >= round(study.calibration_accuracy - 0.1, 6)
    return rows.loc[rows.index[enough].min() if enough.any() else most]


paper_enough, chosen = fewest_enough("paper"), fewest_enough("calibrated, rounding")
measures = "accuracy loss low high agreement spikes synops"
headline = {
    "images": len(study.labels),
    "neurons": best.neurons,
    "least_steps": min(steps),
    "ann_accuracy": study.accuracy,
    **notebook.quoted("paper", reports["paper", most], f"steps {measures}"),
    **notebook.quoted("paper_enough", paper_enough, f"steps {measures}"),
    **notebook.quoted("calibrated", chosen, f"steps {measures} latency"),
    "steps_saved": int(paper_enough["steps"] - chosen["steps"]),
    **notebook.quoted("most_steps", best, measures),
    "ann_macs": best.ann_macs_per_image,
    "macs": best.macs_per_image,
}
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
called = {"paper": "binary_floor, range 25 (paper)"}
names = [called.get(row.setting, f"{row.code} ({row.setting})") for row in table.itertuples()]
result_files.write(
    results,
    "01_relu_baseline",
    tables={"": table, "layers": layers, "confusion": confusion},
    headline=headline,
    headline_rows=notebook.headline_rows(
        table, dataset=dataset, network=network, code=names, ann_accuracy=study.accuracy
    ),
    parameters=given,
    data=data.summary(),
)

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
# # Notebook: trained through the codes
#
# One network: converted without training; with its weights refitted, in closed form, and
# calibrated, in minutes of training, both on images without labels; fine-tuned on the data set.
# Beside them the control: the ANN trained on in the same way, without codes.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
# The dataset of a network is digits or cifar10; see models.build.
networks = [
    {"name": "small CNN", "dataset": "digits", "network": "small_cnn", "options": {},
     "checkpoint": "", "epochs": 40, "settings": [{"K": 4, "budget": 0.2}]},
]  # fmt: skip
# What was trained before: network, K, budget, weights, seed, file of each; none: trained here.
trained = []
control = {}  # the weights of each network's control, by name; for the others it is trained here
tuned_epochs = 8
calibrated_on = 600  # images of the training set, without their labels
images = 500  # test images, from the first
seed = 0

# %% tags=["hide-input"]
from functools import cache
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

import fsrepro
from fsrepro.conversion import normal_form
from fsrepro.experiments import datasets, models, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep
from fsrepro.measures import answers, paired_loss

given = notebook.parameters(globals())
NETWORKS = {entry["name"]: entry for entry in networks}
display(Markdown(f"**Profile {profile}**: {', '.join(NETWORKS)}."))


# %% tags=["remove-stderr"]
@cache
def data(name):
    return datasets.load(NETWORKS[name]["dataset"], seed=seed)


@cache
def study(name):
    entry = NETWORKS[name]
    return notebook.Study.of(
        data(name), entry["network"], images=images, checkpoint=entry["checkpoint"],
        epochs=entry["epochs"], seed=seed, **entry["options"],
    )  # fmt: skip


@cache
def converted(name, K, budget, by_channel, weights="training-free"):
    return (
        study(name)
        .plan(K)
        .network(spikes_per_neuron=budget, by_channel=by_channel, refit=weights == "refitted")
    )


# %% [markdown]
# ## Training
#
# Where nothing was trained before, it is here: towards the answers of the ANN, on blended images,
# the price of a spike controlled so that the budget holds.

# %% tags=["remove-stderr"]
histories = []
kept = {entry["file"]: "{network}, K = {K}, {weights}".format(**entry) for entry in trained}
kept |= {path.removesuffix(".weights.h5"): f"{name}, control" for name, path in control.items()}
for path, name in kept.items():
    history = pd.read_csv(Path(path).with_suffix(".history.csv"))
    histories.append(history.assign(name=name))
made = {}
if not trained:
    for name, entry in NETWORKS.items():
        (x, y), ann = data(name).arrays("train"), study(name).ann
        of = {"teacher": ann, "validation": data(name).arrays("calibration"), "mixup": 0.4}
        recipe = {**of, "distillation": 1.0, "epochs": tuned_epochs, "batch_size": 64, "seed": seed}
        for K, budget in ((s["K"], s["budget"]) for s in entry["settings"]):
            start, key = converted(name, K, budget, True), (name, K, budget)
            made[*key, "calibrated"], _ = fsrepro.calibrate(
                start, ann, x[:calibrated_on], epochs=tuned_epochs, seed=seed
            )
            made[*key, "fine-tuned"], history = fsrepro.fine_tune(
                start, x, y, spikes_per_neuron=budget, **recipe
            )
            histories.append(history.assign(name=f"{name}, K = {K}"))
        made[name], history = fsrepro.fine_tune(ann, x, y, learning_rate=1e-4, **recipe)
        histories.append(history.assign(name=f"{name}, control"))
history = pd.concat(histories, ignore_index=True)
book_figures.fine_tuning(history, reference=study(next(iter(NETWORKS))).calibration_accuracy)
plt.show()

# %% [markdown]
# ## With so many spikes
#
# Points of accuracy below the ANN, with the 95 % interval of the paired difference. Choices were
# made on held-out images.

# %% tags=["remove-stderr"]
sweep = Sweep(
    f"{results}/.sweep-11_training", images=images, seed=seed,
    weights={name: study(name).weights for name in NETWORKS},
)  # fmt: skip
untrained = sweep.table(
    "untrained",
    [
        {"network": name, **setting, "by_channel": by_channel, "weights": weights}
        for name, entry in NETWORKS.items()
        for setting in entry["settings"]
        for by_channel in (False, True)
        for weights in ("training-free", "refitted")
    ],
    lambda network, **setting: study(network).row(converted(network, **setting)),
)
rows = [
    {**entry, **study(entry["network"]).row(fsrepro.SpikingModel.load(entry["file"]))}
    for entry in trained
] + [
    {"network": key[0], "K": key[1], "budget": key[2], "weights": key[3], "seed": seed,
     **study(key[0]).row(snn)}
    for key, snn in made.items() if isinstance(key, tuple)
]  # fmt: skip
runs = pd.concat([untrained, pd.DataFrame(rows).drop(columns="file", errors="ignore")])
runs["ann_accuracy"] = [study(name).accuracy for name in runs["network"]]
runs["by_channel"] = runs["by_channel"].fillna(True).astype(bool)
classes = book_figures.CLASSES_OF_WEIGHTS
runs["weights"] = pd.Categorical(runs["weights"], classes, ordered=True)
runs = runs.sort_values(["network", "K", "budget", "weights", "by_channel"], ignore_index=True)
runs["weights"] = runs["weights"].astype(str)
shown = ["network", "K", "budget", "weights", "by_channel", "seed", "spikes_per_neuron"]
notebook.shown(runs, [*shown, "accuracy", "loss", "low", "high", "agreement"]).style.hide()

# %%
costs = ["spikes_per_neuron", "synops_per_mac", "energy", "latency_steps"]
notebook.shown(runs, ["network", "K", "budget", "weights", "by_channel", *costs]).style.hide()

# %%
book_figures.trained_frontier(runs)
plt.show()

# %% [markdown]
# ## The control
#
# The ANN trained on through the same epochs, images and targets, without codes.

# %% tags=["remove-stderr"]
rows = []
for name in NETWORKS:
    if name in control:
        ann = normal_form(study(name).ann)  # as a control is kept: its batch norm folded
        models.load_checkpoint(ann, control[name])
    elif name in made:
        ann = made[name]
    else:
        continue
    of = study(name)
    right = of.answers == of.labels
    now = answers(ann, of.x) == of.labels
    gained = dict(zip(("loss", "low", "high"), paired_loss(right, now), strict=True))
    rows.append({"network": name, "accuracy": 100 * now.mean(), **gained})
controls = pd.DataFrame(rows, columns=["network", "accuracy", "loss", "low", "high"])
notebook.shown(controls).style.hide()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
headline = {"images": images, "calibrated_on": calibrated_on}
headline["ann_calibration"] = study(next(iter(NETWORKS))).calibration_accuracy
setting = ["network", "K", "budget", "weights", "by_channel"]
for (network, K, budget, weights, by_channel), part in runs.groupby(setting):
    name = f"{network} {K} {budget:g} {weights}{'' if by_channel else ' layers'}"
    key = notebook.key(name)
    counted = "ann_accuracy accuracy loss low high agreement spikes_per_neuron synops_per_mac "
    counted += "energy calibration_accuracy"
    headline |= notebook.quoted(key, part.mean(numeric_only=True), counted)
    headline[f"{key}_seeds"] = len(part)
    if len(part) > 1:
        headline[f"{key}_loss_deviation"] = part["loss"].std()
for control_row in controls.itertuples():
    key = notebook.key(f"{control_row.network} control")
    headline |= notebook.quoted(key, pd.Series(control_row._asdict()), "accuracy loss low high")
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
result_files.write(
    results,
    "11_training",
    tables={"": runs, "control": controls, "history": history},
    headline=headline,
    headline_rows=notebook.headline_rows(
        runs, dataset=[NETWORKS[n]["dataset"] for n in runs["network"]],
        activation=[", ".join(sorted(set(study(n).functions.values()))) for n in runs["network"]],
        code=[
            f"mixed radix{' by channel' * c}, {w}"
            for c, w in zip(runs["by_channel"], runs["weights"], strict=True)
        ],
        fine_tuned=runs["weights"].eq("fine-tuned").tolist(), weights=runs["weights"].tolist(),
    ),
    parameters=given,
    data=data(next(iter(NETWORKS))).summary(),
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()

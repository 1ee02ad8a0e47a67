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
# # Notebook: accuracy, spikes and steps
#
# How few spikes per neuron and time steps does a residual network need? A budget of spikes is
# divided among the layers by how much their errors matter; every code of the project and the usual
# baselines run on the same images; and a network is trained on through its codes.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
network = "small_cnn"  # small_cnn, resnet8, resnet20, ...
checkpoint = ""  # trained weights; empty: train here
epochs = 40  # of training, if there is no checkpoint
radix_steps = [4, 8]  # time steps K of the mixed-radix codes
budgets = [0.2, 0.3, 0.4, 0.5]  # spikes per neuron
tolerance = 0.2  # points below the ANN on calibration images that a chosen setting may have
most_spikes = 0.4  # per neuron, of the setting that is chosen for its accuracy
spread_budgets = [0.3]  # spikes per neuron at which trainings and calibration images are varied
spread_parts = 3  # that the calibration images are divided into
trainings = [{"seed": 1, "checkpoint": ""}]  # of the same network; without checkpoint: train here
other_codes = []  # the kinds of code beside mixed radix, by name; none: all
code_snr = [16, 22]  # dB: what the other codes are designed for
rate_steps = [8, 32]  # time steps of the rate code
ann_bits = [3, 4, 8]  # of the quantised ANN: of weights and activations, and of these alone
published = ""  # a network of others, converted likewise; empty: none
published_budgets = [0.4, 0.5]  # spikes per neuron for it
fine_tuned = []  # spiking networks that were fine-tuned before; none: fine-tune here
tuned_budget = 0.2  # spikes per neuron to fine-tune for
tuned_epochs = 10  # of fine-tuning here
images = 500  # test images, from the first
diagnosed = 200  # of these, for the diagnosis
seed = 0

# %% tags=["hide-input"]
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from fsrepro import codes, figures, fitting, measures, training
from fsrepro.conversion import SpikingModel, allocate, convert, diagnose, normal_form
from fsrepro.energy import energy
from fsrepro.experiments import datasets, models, notebook, rivals
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep
from fsrepro.networks.few_bits import round_weights
from fsrepro.networks.graph import predict

given = notebook.parameters(globals())
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
study = notebook.Study.of(
    data, network, images=images, checkpoint=checkpoint, epochs=epochs, seed=seed
)
ann, x_calibration = study.ann, study.x_calibration
sweep = Sweep(  # keeps finished rows, so that a killed run goes on from there
    f"{results}/.sweep-05_cifar10", data=data.summary(), network=network, weights=study.weights,
    images=images, seed=seed,
)  # fmt: skip
Markdown(f"{study} Of the calibration images {study.calibration_accuracy:.2f} %.")

# %% [markdown]
# Every choice is made on calibration images. A chosen setting has the fewest spikes that hold the
# accuracy of the ANN there within a tolerance.


# %%
def at_most(steps):
    """The K of ``radix_steps`` up to so many, or the least of all."""
    return [k for k in radix_steps if k <= max(steps, min(radix_steps))]


def chosen(rows):
    held = rows["calibration_accuracy"] >= study.calibration_accuracy - tolerance
    return notebook.fewest_spikes(rows, held, rows["calibration_accuracy"])


def most_accurate(rows):
    """The best accuracy on calibration images within ``most_spikes`` and ten steps."""
    within = rows[(rows["calibration_spikes"] <= most_spikes) & rows["K"].isin(at_most(10))]
    return within["calibration_accuracy"].idxmax()


# %% [markdown]
# ## A budget of spikes
#
# Each layer gets the mixed radix with which the whole network loses least for its spikes, and each
# channel's mean is set right. No training, no labels. Bars around accuracies are the 95 percent
# intervals of their difference to the ANN, on the same images.


# %% tags=["remove-stderr"]
def under(K, budget):
    """The network of mixed radices with K time steps and so many spikes per neuron."""
    return study.plan(K).network(spikes_per_neuron=budget)


frontier = sweep.table(
    "budgets",
    [{"setting": f"K = {K}", "K": K, "budget": b} for K in radix_steps for b in budgets],
    lambda setting, K, budget: study.row(under(K, budget)),
)

# %%
book_figures.against_spikes(frontier, reference=study.accuracy)
plt.show()

# %% [markdown]
# ## What each part brings
#
# The same budget, part by part: divided as if all layers mattered alike, by sensitivity, with the
# biases and slopes corrected, and with a code for every channel.

# %% tags=["remove-stderr"]
pick = frontier.loc[chosen(frontier[frontier["K"].isin(at_most(10))])]
K, budget = int(pick["K"]), pick["budget"]


def all_alike(K, budget):
    """The budget divided as if noise-to-signal ratios were equally bad in all layers."""
    plan = study.plan(K)
    power = {n: float(np.mean(np.maximum(x, 0) ** 2)) for n, x in study.recorded.items()}
    gain = {name: 1 / p for name, p in power.items()}
    chosen = allocate(plan.fronts, plan.neurons, gain, budget)
    return study.spiking({name: found.code for name, found in chosen.items()})


def by_sensitivity(K, budget, **options):
    return study.plan(K).network(spikes_per_neuron=budget, **options)


parts = {
    "as if all layers mattered alike": all_alike,
    "by sensitivity": partial(by_sensitivity, bias_correction=False),
    "by sensitivity, biases corrected": by_sensitivity,
    "by sensitivity, biases corrected, codes by channel": partial(by_sensitivity, by_channel=True),
}
ablation = sweep.table(
    "parts",
    [{"setting": part, "K": K, "budget": budget} for part in parts],
    lambda setting, K, budget: study.row(parts[setting](K, budget)),
)
shown = ["setting", "accuracy", "agreement", "spikes_per_neuron", "synops_per_image"]
notebook.shown(ablation, shown).style.hide()

# %% [markdown]
# ## Spread
#
# The same setting for other trainings of the network, and calibrated on other images: each part of
# the held-out ones has so many fewer, so the spread over parts is rather too large than too small.

# %% tags=["remove-stderr"]
studies = {seed: study} | {
    made["seed"]: notebook.Study.of(
        data, network, images=images, checkpoint=made["checkpoint"], epochs=epochs,
        seed=made["seed"],
    )
    for made in trainings
}  # fmt: skip


def calibrated_on_a_part(training, part, K, budget):
    of = studies[training]
    few = of.x_calibration[part - 1 :: spread_parts]
    return of.report(convert(of.ann, few, steps=K, spikes_per_neuron=budget, seed=seed)).row()


spread = sweep.table(
    "spread",
    [
        {"training": training, "part": part, "K": K, "budget": b}
        for b in spread_budgets
        for training in studies
        for part in range(1, spread_parts + 1)
    ],
    calibrated_on_a_part,
)
varied = notebook.varied(spread, "budget")
varied.style.format(precision=2)

# %%
book_figures.spread(spread)
plt.show()

# %% [markdown]
# ## Every code, and the baselines
#
# Each kind of code is designed for one SNR in all layers; of the SNRs tried, the row shows the
# fewest spikes that hold accuracy on calibration images. The quantised ANN is no spiking network:
# its activations have as many bits as a binary code has steps.


# %% tags=["remove-stderr"]
kinds = {
    "binary, floor": fitting.scaled(*(partial(codes.binary, K) for K in range(3, 9))),
    "binary, rounding": fitting.scaled(
        *(partial(codes.binary, K, rounding=True) for K in range(3, 9))
    ),
    "leading one, 2 spikes": fitting.scaled(partial(codes.leading_one, 8, spikes=2)),
    "geometric, 2 spikes": fitting.scaled(
        *(partial(codes.geometric, 12, ratio=r, spikes=2) for r in (1.3, 1.4, 1.6))
    ),
    "exponent + mantissa": fitting.scaled(
        *(
            partial(codes.ExponentMantissa, e, 8 - e, rounding=True, silent_zero=True)
            for e in (1, 2, 3)
        )
    ),
    "signed binary": fitting.scaled(*(partial(codes.signed_binary, b) for b in range(2, 8))),
    "Huffman": fitting.words_of(codes.huffman_words, name="Huffman"),
    "letter costs (spike 4)": fitting.words_of(
        partial(codes.letter_cost_words, spike_cost=4), name="letter costs"
    ),
    "fewest spikes, K = 8": fitting.words_of(
        partial(codes.fewest_spikes_words, steps=8), name="fewest spikes"
    ),
    "fitted, K = 8": fitting.fitted_to(8, seconds=1.0, seed=seed),
}
kinds = {name: kinds[name] for name in other_codes or kinds}


@lru_cache(16)  # where few settings are tried, those that are chosen need not be made again
def coded(kind, target):
    return study.coded(kinds[kind], target, points=4096)


def attempt(setting, snr_target):
    try:
        return study.held_out(coded(setting, snr_target))
    except ValueError as error:  # not every kind reaches every SNR
        return {"refused": str(error)}


tried = sweep.table(
    "codes", [{"setting": kind, "snr_target": t} for kind in kinds for t in code_snr], attempt
)
possible = tried[tried["calibration_accuracy"].notna()]
best = possible.loc[[chosen(part) for _, part in possible.groupby("setting", sort=False)]]
by_code = sweep.table(
    "on test images",
    best[["setting", "snr_target"]].to_dict("records"),
    lambda setting, snr_target: study.row(coded(setting, snr_target)),
)

# %% tags=["remove-stderr"]
snn = convert(ann, x_calibration, code="binary_floor", steps=10, scale=25.0)
paper_report = study.report(snn)
paper = {"setting": "paper: floor, range 25", **paper_report.row(), **study.held_out(snn)}


def rival(setting, K):
    if setting == "rate":
        return convert(ann, x_calibration, code="rate", steps=K, seed=seed)
    scales = rivals.mlgenn_scales(study.plan(min(radix_steps)).graph, study.recorded, K)
    return convert(ann, x_calibration, code="binary_floor", steps=K, scale=scales)


rates = sweep.table(
    "baselines",
    [{"setting": "mlGeNN's rule", "K": K} for K in (8, 10)]
    + [{"setting": "rate", "K": K} for K in rate_steps],
    lambda setting, K: study.row(rival(setting, K)),
)


def quantised(setting, bits, weights):
    weight_bits = bits if weights else None
    model = rivals.quantised_ann(ann, x_calibration, bits=bits, weight_bits=weight_bits)
    given = predict(model, study.x).argmax(1)
    return {
        "accuracy": 100 * (given == study.labels).mean(),
        "agreement": 100 * (given == study.answers).mean(),
        "images": len(study.labels),
        "macs_per_image": paper_report.ann_macs_per_image,
    }


quantised_anns = sweep.table(
    "quantised ANNs",
    [
        {"setting": f"quantised {what}, {bits} bits", "bits": bits, "weights": what == "ANN"}
        for what in ("ANN", "activations")  # of both, and with the weights of the trained network
        for bits in ann_bits
    ],
    quantised,
).drop(columns="weights")


def with_weights_of_eight_bits(setting, K, budget):
    graph = normal_form(ann, x_calibration)
    round_weights(graph, 8)
    snn = convert(graph, x_calibration, steps=K, spikes_per_neuron=budget, seed=seed)
    return study.row(snn)


eight_bits = sweep.table(
    "eight bits",
    [{"setting": "mixed radix, weights of 8 bits", "K": K, "budget": budget}],
    with_weights_of_eight_bits,
)
baselines = pd.concat([pd.DataFrame([paper]), rates, quantised_anns, eight_bits], ignore_index=True)

# %% [markdown]
# ## Training on through the codes

# %% tags=["remove-stderr"]
start = min(b for b in budgets if b >= min(2 * tuned_budget, max(budgets)))
tuned = {Path(path).stem: SpikingModel.load(path) for path in fine_tuned}
histories = [
    pd.read_csv(Path(path).with_suffix(".history.csv")).assign(name=Path(path).stem)
    for path in fine_tuned
]
if not tuned:
    snn, history = training.fine_tune(
        under(min(radix_steps), start), *data.arrays("train"), spikes_per_neuron=tuned_budget,
        epochs=tuned_epochs, validation=data.arrays("calibration"), teacher=ann, batch_size=64,
        seed=seed,
    )  # fmt: skip
    tuned["here"] = snn
    histories.append(history.assign(name="here"))
history = pd.concat(histories, ignore_index=True)
trained_on = pd.DataFrame(
    {"setting": "fine-tuned", "name": name, **study.row(snn)} for name, snn in tuned.items()
)
columns = ["name", "steps", "accuracy", "agreement", "spikes_per_neuron"]
notebook.shown(trained_on, columns).style.hide()

# %%
book_figures.fine_tuning(history, reference=study.calibration_accuracy)
plt.show()

# %% [markdown]
# ## A network that no one here trained
#
# A checkpoint as its publisher offers it, converted with the number of steps chosen above and
# nothing tuned by hand. The images it was trained on are among our calibration images, so its
# accuracy there says nothing; no choice is made on them.

# %% tags=["remove-stderr"]
foreign = pd.DataFrame()
if published:
    other = models.published(published)
    same = replace(data, mean=other.mean, std=other.std)
    theirs = notebook.Study.on(same, other.model, published, images=images, seed=seed)
    foreign = sweep.table(
        "published network",
        [{"setting": published, "K": K, "budget": b} for b in published_budgets],
        lambda setting, K, budget: theirs.report(
            theirs.plan(K).network(spikes_per_neuron=budget)
        ).row(),
    ).assign(ann=theirs.accuracy)
    columns = ["ann", "steps", "accuracy", "agreement", "spikes_per_neuron"]
    display(notebook.shown(foreign, columns).style.hide())
else:
    display(Markdown("This profile has none: it would have to be downloaded."))

# %% [markdown]
# ## The frontier

# %%
free = frontier.loc[[chosen(part) for _, part in frontier.groupby("K")]].copy()
free["setting"] = "mixed radix, budget"
everything = pd.concat([free, trained_on, by_code, baselines], ignore_index=True)
shown += ["steps", "macs_per_image"]
notebook.shown(everything, shown).style.hide()

# %%
others = pd.concat([trained_on, by_code, baselines])
others = others[~others["setting"].str.startswith("quantised activations")]  # see the table
book_figures.against_others(frontier, others, reference=study.accuracy)
plt.show()

# %% [markdown]
# ## Where the accuracy goes

# %% tags=["remove-stderr"]
net = under(K, budget)
diagnosis = diagnose(ann, net, study.x[:diagnosed], study.labels[:diagnosed])
figures.diagnosis(diagnosis)
plt.show()

# %% [markdown]
# ## What images look like in spikes
#
# Sixty neurons of each layer, drawn at random. Layers follow each other, K time steps each.

# %% tags=["remove-stderr"]
names = [data.classes[k] for k in study.labels[:2]]
book_figures.examples(data.test.images[:2], names)
words = []
for i, name in enumerate(names):
    answer = data.classes[int(net.predict(study.x[i : i + 1]).argmax())]
    title = f"image {i}: {name}, answered: {answer}"
    words.append(measures.sample_words(net, study.x[i], seed=seed).assign(image=title))
words = pd.concat(words, ignore_index=True)
figures.raster(words)
plt.show()

# %% [markdown]
# ## Counts and energy

# %%
report = study.report(net)
spent = pd.concat(
    [
        energy(report).assign(setting="chosen mixed radix"),
        energy(paper_report).assign(setting="paper"),
    ],
    ignore_index=True,
)
notebook.shown(spent).style.hide()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
kept = frontier.loc[most_accurate(frontier)]
# Standard error of a difference in accuracy: no answer counts but those that changed.
held_out_error = 100 * np.sqrt((1 - pick["calibration_agreement"] / 100) / len(x_calibration))
short = frontier[frontier["K"] == max(at_most(8))]
half = short.loc[(short["budget"] - 0.5).abs().idxmin()]  # half a spike in at most eight steps
changed = 100 - diagnosis["agreement_alone"].to_numpy()
tuned, fewest = trained_on.iloc[0], trained_on.iloc[-1]
headline = {
    "images": len(study.labels),
    "neurons": net.neurons,
    "ann_accuracy": study.accuracy,
    "ann_calibration": study.calibration_accuracy,
    "ann_macs": paper_report.ann_macs_per_image,
    "tolerance": tolerance,
    "trainings": len(studies),
    "spread_parts": spread_parts,
    **notebook.quoted("paper", paper_report, "accuracy spikes"),
    "tuned_length": int(histories[0]["epoch"].max()),
    "chosen_loss_held_out": study.calibration_accuracy - pick["calibration_accuracy"],
    "held_out_error": held_out_error,
    "chosen_synops": pick["synops_per_image"],
    "diagnosed": diagnosed,
    "worst_layer": diagnosis["layer"].iloc[changed.argmax()],
    "worst_changed": changed.max(),
    "sum_changed": changed.sum(),
    "all_changed": 100 * float((report.predictions != study.answers)[:diagnosed].mean()),
    "eight_bits_loss": study.accuracy - eight_bits["accuracy"].iloc[0],
    **notebook.quoted("eight_bits", eight_bits.iloc[0], "accuracy agreement spikes"),
    "energy_ratio_floats": spent["ratio"].iloc[0],
    "energy_ratio_ints": spent["ratio"].iloc[1],
}
for name, row in {
    "kept": kept, "chosen": pick, "half": half, "tuned": tuned, "fewest": fewest,
}.items():  # fmt: skip
    headline |= notebook.quoted(name, row, "steps accuracy agreement spikes")
    headline[f"{name}_loss"] = study.accuracy - row["accuracy"]
for name, row in zip(
    ("alike", "sensitivity", "corrected", "channels"), ablation.itertuples(), strict=True
):
    headline[f"{name}_agreement"] = row.agreement
for b, row in varied.iterrows():
    for name, value in row.dropna().items():  # one training has no spread
        headline[f"spread_{notebook.key(f'{b:g} {name}')}"] = value
if published:
    headline["published_ann_accuracy"] = theirs.accuracy
    headline |= notebook.quoted("published", foreign.iloc[-1], "accuracy agreement spikes")
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
spiking = everything[everything["spikes_per_neuron"].notna()]
result_files.write(
    results,
    "05_cifar10",
    tables={
        "": everything, "frontier": frontier, "ablation": ablation, "spread": spread,
        "codes": by_code,
        "tried": tried, "words": words, "diagnosis": diagnosis, "energy": spent,
        "history": history[["name", "epoch", "calibration_accuracy", "spikes_per_neuron"]],
        **({"published": foreign} if published else {}),
    },
    headline=headline,
    headline_rows=notebook.headline_rows(
        spiking, dataset=dataset, network=network, ann_accuracy=study.accuracy,
        fine_tuned=spiking["setting"].eq("fine-tuned").tolist(),
    ),
    parameters=given,
    data=data.summary(),
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()

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
other_codes = []  # the kinds of code beside mixed radix, by name; none: all
code_snr = [16, 22]  # dB: what the other codes are designed for
rate_steps = [8, 32]  # time steps of the rate code
ann_bits = [3, 4, 8]  # of the quantised ANN's weights and activations
published = ""  # a network of others, converted likewise; empty: none
published_budgets = [0.4, 0.5]  # spikes per neuron for it
fine_tuned = []  # spiking networks that were fine-tuned before; none: fine-tune here
tuned_budget = 0.2  # spikes per neuron to fine-tune for
tuned_epochs = 10  # of fine-tuning here
images = 500  # test images, from the first
diagnosed = 200  # of these, for the diagnosis
seed = 0

# %% tags=["hide-input"]
import logging
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

if Path.cwd().name == "notebooks":  # as in JupyterLab; paths are those of the top folder
    os.chdir("..")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its start-up otherwise

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from fsrepro import codes, figures, fitting, measures
from fsrepro.conversion import (
    SpikingModel,
    convert,
    diagnose,
    mlgenn_scales,
    normal_form,
    plan,
    quantised_ann,
    record,
    with_decoders,
)
from fsrepro.energy import energy
from fsrepro.experiments import datasets, models, training
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep

logging.getLogger("tensorflow").setLevel("ERROR")  # importing TensorFlow resets it
figures.set_style()
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
ann = models.build(network, data.image_shape, len(data.classes), seed=seed)
weights = f"{epochs} epochs"
if checkpoint:
    weights = models.load_checkpoint(ann, checkpoint)["weights_sha256"]
else:
    training.train(ann, *data.arrays("train"), epochs=epochs, batch_size=64, seed=seed)

test = data.test[:images]
x_test = data.normalise(test.images)
x_calibration, y_calibration = data.normalise(data.calibration.images), data.calibration.labels
answers = measures.predict_classes(ann, x_test)
ann_accuracy = 100 * float((answers == test.labels).mean())
calibration_answers = measures.predict_classes(ann, x_calibration)
ann_calibration = 100 * float((calibration_answers == y_calibration).mean())
sweep = Sweep(  # keeps finished rows, so that a killed run goes on from there
    f"{results}/.sweep-05_cifar10", data=data.summary(), network=network, weights=weights,
    images=images, seed=seed,
)  # fmt: skip
Markdown(
    f"The ANN answers {ann_accuracy:.2f} % of the test images rightly, and "
    f"{ann_calibration:.2f} % of the calibration images."
)


# %%
def at_most(steps):
    """The K of ``radix_steps`` up to so many, or the least of all."""
    return [k for k in radix_steps if k <= max(steps, min(radix_steps))]


def held_out(snn):
    """The network on calibration images, where every choice is made."""
    report = measures.evaluate(snn, x_calibration, y_calibration, ann=calibration_answers)
    return {
        "calibration_accuracy": report.accuracy,
        "calibration_agreement": report.agreement,
        "calibration_spikes": report.spikes_per_neuron,
    }


def measured(snn):
    return measures.evaluate(snn, x_test, test.labels, ann=answers)


def row_of(snn):
    return {**measured(snn).row(), **held_out(snn)}


def chosen(rows):
    """The fewest spikes that hold accuracy on calibration images, else the best accuracy."""
    held = rows[rows["calibration_accuracy"] >= ann_calibration - tolerance]
    if len(held):
        return held["calibration_spikes"].idxmin()
    return rows["calibration_accuracy"].idxmax()


def most_accurate(rows):
    """The best accuracy on calibration images within ``most_spikes`` and ten steps."""
    within = rows[(rows["calibration_spikes"] <= most_spikes) & rows["K"].isin(at_most(10))]
    return within["calibration_accuracy"].idxmax()


# %% [markdown]
# ## A budget of spikes
#
# Each layer gets the mixed radix with which the whole network loses least for its spikes, and each
# channel's mean is set right. No training, no labels.


# %% tags=["remove-stderr"]
@cache
def plan_for(K):
    return plan(ann, x_calibration, steps=K, seed=seed)


@cache
def under(K, budget):
    """The network of mixed radices with K time steps and so many spikes per neuron."""
    return convert(ann, x_calibration, code=plan_for(K).codes(budget), bias_correction=True)


frontier = sweep.table(
    "budgets",
    [{"setting": f"K = {K}", "K": K, "budget": b} for K in radix_steps for b in budgets],
    lambda setting, K, budget: row_of(under(K, budget)),
)

# %%
book_figures.against_spikes(frontier, reference=ann_accuracy)
plt.show()

# %% [markdown]
# ## What each part brings
#
# The same budget, part by part: divided as if all layers mattered alike, by sensitivity, with the
# biases corrected, and with a scale for every channel that can have its own.

# %% tags=["remove-stderr"]
pick = frontier.loc[chosen(frontier[frontier["K"].isin(at_most(10))])]
K, budget = int(pick["K"]), pick["budget"]
recorded = record(normal_form(ann), x_calibration, seed=seed)


def without_sensitivity(K):
    """The plan that takes the noise-to-signal ratios of all layers for equally bad."""
    power = {name: float(np.mean(np.maximum(x, 0) ** 2)) for name, x in recorded.items()}
    known = plan_for(K)
    return type(known)(known.fronts, known.neurons, {name: 1 / p for name, p in power.items()})


parts = {
    "as if all layers mattered alike": lambda: {"code": without_sensitivity(K).codes(budget)},
    "by sensitivity": lambda: {"code": plan_for(K).codes(budget)},
    "by sensitivity, biases corrected": lambda: {
        "code": plan_for(K).codes(budget), "bias_correction": True,
    },
    "by sensitivity, biases corrected, channels scaled": lambda: {
        "steps": K, "spikes_per_neuron": budget, "channel_scales": True, "seed": seed,
    },
}  # fmt: skip
ablation = sweep.table(
    "parts",
    [{"setting": part, "K": K, "budget": budget} for part in parts],
    lambda setting, K, budget: row_of(convert(ann, x_calibration, **parts[setting]())),
)
columns = {
    "setting": "setting", "accuracy": "accuracy %", "agreement": "same answer %",
    "spikes_per_neuron": "spikes per neuron", "synops_per_image": "SynOps per image",
}  # fmt: skip
form = {
    "accuracy %": "{:.2f}", "same answer %": "{:.2f}", "spikes per neuron": "{:.3f}",
    "SynOps per image": "{:,.0f}", "K": "{:.0f}", "multiplications per image": "{:,.0f}",
}  # fmt: skip
ablation[list(columns)].rename(columns=columns).style.format(form).hide()

# %% [markdown]
# ## Every code, and the baselines
#
# Each kind of code is designed for one SNR in all layers; of the SNRs tried, the row shows the
# fewest spikes that hold accuracy on calibration images. The quantised ANN is no spiking network:
# its activations have as many bits as a binary code has steps.

# %% tags=["remove-stderr"]
sources = {name: fitting.empirical(x, points=4096, name=name) for name, x in recorded.items()}
kinds = {
    "binary, floor": fitting.scaled(*(lambda a, K=K: codes.binary(K, a) for K in range(3, 9))),
    "binary, rounding": fitting.scaled(
        *(lambda a, K=K: codes.binary(K, a, rounding=True) for K in range(3, 9))
    ),
    "leading one, 2 spikes": fitting.scaled(lambda a: codes.leading_one(8, a, spikes=2)),
    "geometric, 2 spikes": fitting.scaled(
        *(lambda a, r=r: codes.geometric(12, a, ratio=r, spikes=2) for r in (1.3, 1.4, 1.6))
    ),
    "exponent + mantissa": fitting.scaled(
        *(
            lambda a, e=e: codes.ExponentMantissa(e, 8 - e, a, rounding=True, silent_zero=True)
            for e in (1, 2, 3)
        )
    ),
    "signed binary": fitting.scaled(
        *(lambda a, b=b: codes.signed_binary(b, a) for b in range(2, 8))
    ),
    "Huffman": fitting.words_of(codes.huffman_words, name="Huffman"),
    "letter costs (spike 4)": fitting.words_of(
        lambda p: codes.letter_cost_words(p, spike_cost=4), name="letter costs"
    ),
    "fewest spikes, K = 8": fitting.words_of(
        lambda p: codes.fewest_spikes_words(p, 8), name="fewest spikes"
    ),
    "fitted, K = 8": fitting.fitted_to(8, seconds=1.0, seed=seed),
}
kinds = {name: kinds[name] for name in other_codes or kinds}


@cache
def coded(kind, target):
    designed = {name: kinds[kind](source, target) for name, source in sources.items()}
    if all(code.linear for code in designed.values()):
        return convert(ann, x_calibration, code=designed)
    return with_decoders(ann, designed)


def attempt(setting, snr_target):
    try:
        return held_out(coded(setting, snr_target))
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
    lambda setting, snr_target: row_of(coded(setting, snr_target)),
)

# %% tags=["remove-stderr"]
snn = convert(ann, x_calibration, code="binary_floor", steps=10, scale=25.0)
paper_report = measured(snn)
paper = {"setting": "paper: floor, range 25", **paper_report.row(), **held_out(snn)}


def by_mlgenns_rule(K):
    scales = mlgenn_scales(normal_form(ann), recorded, K)
    return convert(ann, x_calibration, code="binary_floor", steps=K, scale=scales)


def with_rates(K):
    return convert(ann, x_calibration, code="rate", steps=K, seed=seed)


rivals = {"mlGeNN's rule": by_mlgenns_rule, "rate": with_rates}
rivals = sweep.table(
    "baselines",
    [{"setting": "mlGeNN's rule", "K": K} for K in (8, 10)]
    + [{"setting": "rate", "K": K} for K in rate_steps],
    lambda setting, K: row_of(rivals[setting](K)),
)


def quantised(setting, bits):
    model = quantised_ann(ann, x_calibration, bits=bits, weight_bits=bits)
    given = measures.predict_classes(model, x_test)
    return {
        "accuracy": 100 * (given == test.labels).mean(),
        "agreement": 100 * (given == answers).mean(),
        "images": len(test),
        "macs_per_image": paper_report.ann_macs_per_image,
    }


quantised_anns = sweep.table(
    "quantised ANNs",
    [{"setting": f"quantised ANN, {bits} bits", "bits": bits} for bits in ann_bits],
    quantised,
)
baselines = pd.concat([pd.DataFrame([paper]), rivals, quantised_anns], ignore_index=True)

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
        under(min(radix_steps), start), data, spikes_per_neuron=tuned_budget,
        epochs=tuned_epochs, teacher=ann, batch_size=64, seed=seed
    )  # fmt: skip
    tuned["here"] = snn
    histories.append(history.assign(name="here"))
history = pd.concat(histories, ignore_index=True)
trained_on = pd.DataFrame(
    {"setting": "fine-tuned", "name": name, **row_of(snn)} for name, snn in tuned.items()
)
trained_on[["name", "steps", "accuracy", "agreement", "spikes_per_neuron"]].style.format(
    precision=3
).hide()

# %%
book_figures.fine_tuning(history, reference=ann_calibration)
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
    x_other, x_other_calibration = (
        same.normalise(part.images) for part in (test, data.calibration)
    )
    other_answers = measures.predict_classes(other.model, x_other)
    other_accuracy = 100 * float((other_answers == test.labels).mean())

    @cache
    def plan_of_other():
        return plan(other.model, x_other_calibration, steps=K, seed=seed)

    def other_under(setting, K, budget):
        snn = convert(
            other.model, x_other_calibration, code=plan_of_other().codes(budget),
            bias_correction=True,
        )  # fmt: skip
        report = measures.evaluate(snn, x_other, test.labels, ann=other_answers)
        return report.row()

    foreign = sweep.table(
        "published network",
        [{"setting": published, "K": K, "budget": b} for b in published_budgets],
        other_under,
    ).assign(ann=other_accuracy)
    show = foreign[["ann", "steps", "accuracy", "agreement", "spikes_per_neuron"]]
    display(show.style.format(precision=3).hide())
else:
    display(Markdown("This profile has none: it would have to be downloaded."))

# %% [markdown]
# ## The frontier

# %%
free = frontier.loc[[chosen(part) for _, part in frontier.groupby("K")]].copy()
free["setting"] = "mixed radix, budget"
everything = pd.concat([free, trained_on, by_code, baselines], ignore_index=True)
columns = {
    "setting": "setting", "steps": "K", "accuracy": "accuracy %", "agreement": "same answer %",
    "spikes_per_neuron": "spikes per neuron", "synops_per_image": "SynOps per image",
    "macs_per_image": "multiplications per image",
}  # fmt: skip
everything[list(columns)].rename(columns=columns).style.format(form, na_rep="–").hide()

# %%
others = pd.concat([trained_on, by_code, baselines])
book_figures.against_others(frontier, others, reference=ann_accuracy)
plt.show()

# %% [markdown]
# ## Where the accuracy goes

# %% tags=["remove-stderr"]
shown = under(K, budget)
diagnosis = diagnose(ann, shown, x_test[:diagnosed], test.labels[:diagnosed])
figures.diagnosis(diagnosis)
plt.show()

# %% [markdown]
# ## What images look like in spikes
#
# Sixty neurons of each layer, drawn at random. Layers follow each other, K time steps each.

# %% tags=["remove-stderr"]
book_figures.examples(test.images[:2], [data.classes[k] for k in test.labels[:2]])
words = []
for i in range(2):
    answer = data.classes[int(shown.predict(x_test[i : i + 1]).argmax())]
    title = f"image {i}: {data.classes[test.labels[i]]}, answered: {answer}"
    words.append(measures.sample_words(shown, x_test[i], seed=seed).assign(image=title))
words = pd.concat(words, ignore_index=True)
figures.raster(words)
plt.show()

# %% [markdown]
# ## Counts and energy

# %%
report = measured(shown)
spent = pd.concat(
    [
        energy(report).assign(setting="chosen mixed radix"),
        energy(paper_report).assign(setting="paper"),
    ],
    ignore_index=True,
)
spent.style.format(precision=3).hide()

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
headline = {
    "images": len(test),
    "neurons": shown.neurons,
    "ann_accuracy": ann_accuracy,
    "ann_calibration": ann_calibration,
    "ann_macs": paper_report.ann_macs_per_image,
    "tolerance": tolerance,
    "paper_accuracy": paper["accuracy"],
    "paper_spikes": paper["spikes_per_neuron"],
    "kept_steps": int(kept["K"]),
    "kept_accuracy": kept["accuracy"],
    "kept_agreement": kept["agreement"],
    "kept_spikes": kept["spikes_per_neuron"],
    "kept_loss": ann_accuracy - kept["accuracy"],
    "chosen_steps": int(pick["K"]),
    "chosen_accuracy": pick["accuracy"],
    "chosen_agreement": pick["agreement"],
    "chosen_spikes": pick["spikes_per_neuron"],
    "chosen_loss": ann_accuracy - pick["accuracy"],
    "chosen_loss_held_out": ann_calibration - pick["calibration_accuracy"],
    "held_out_error": held_out_error,
    "chosen_synops": pick["synops_per_image"],
    "tuned_accuracy": trained_on["accuracy"].iloc[0],
    "tuned_spikes": trained_on["spikes_per_neuron"].iloc[0],
    "tuned_steps": int(trained_on["steps"].iloc[0]),
    "tuned_length": int(histories[0]["epoch"].max()),
    "tuned_loss": ann_accuracy - trained_on["accuracy"].iloc[0],
    "fewest_accuracy": trained_on["accuracy"].iloc[-1],
    "fewest_spikes": trained_on["spikes_per_neuron"].iloc[-1],
    "fewest_loss": ann_accuracy - trained_on["accuracy"].iloc[-1],
    "half_steps": int(half["K"]),
    "half_accuracy": half["accuracy"],
    "half_spikes": half["spikes_per_neuron"],
    "half_loss": ann_accuracy - half["accuracy"],
    "alike_agreement": ablation["agreement"].iloc[0],
    "sensitivity_agreement": ablation["agreement"].iloc[1],
    "corrected_agreement": ablation["agreement"].iloc[2],
    "channels_agreement": ablation["agreement"].iloc[3],
    "diagnosed": diagnosed,
    "worst_layer": diagnosis["layer"].iloc[changed.argmax()],
    "worst_changed": changed.max(),
    "sum_changed": changed.sum(),
    "all_changed": 100 * float((report.predictions != answers)[:diagnosed].mean()),
    "energy_ratio_floats": spent["ratio"].iloc[0],
    "energy_ratio_ints": spent["ratio"].iloc[1],
}
if published:
    headline |= {
        "published_ann_accuracy": other_accuracy,
        "published_accuracy": foreign["accuracy"].iloc[-1],
        "published_agreement": foreign["agreement"].iloc[-1],
        "published_spikes": foreign["spikes_per_neuron"].iloc[-1],
    }
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
result_files.write(
    results,
    "05_cifar10",
    tables={
        "": everything, "frontier": frontier, "ablation": ablation, "codes": by_code,
        "tried": tried, "words": words, "diagnosis": diagnosis, "energy": spent,
        "history": history[["name", "epoch", "calibration_accuracy", "spikes_per_neuron"]],
        **({"published": foreign} if published else {}),
    },
    headline=headline,
    headline_rows=[
        {
            "dataset": dataset,
            "network": network,
            "activation": "relu",
            "code": row["setting"],
            "steps": row["steps"],
            "fine_tuned": row["setting"] == "fine-tuned",
            "images": row["images"],
            "ann_accuracy": ann_accuracy,
            "snn_accuracy": row["accuracy"],
            "agreement": row["agreement"],
            "spikes_per_neuron": row["spikes_per_neuron"],
            "synops_per_image": row["synops_per_image"],
            "simulator": "keras",
        }
        for row in everything[everything["spikes_per_neuron"].notna()].to_dict("records")
    ],
    parameters={
        "profile": profile, "dataset": dataset, "network": network, "checkpoint": checkpoint,
        "epochs": epochs, "radix_steps": radix_steps, "budgets": budgets, "tolerance": tolerance,
        "most_spikes": most_spikes, "other_codes": other_codes, "code_snr": code_snr,
        "rate_steps": rate_steps, "ann_bits": ann_bits,
        "published": published, "published_budgets": published_budgets,
        "fine_tuned": fine_tuned, "tuned_budget": tuned_budget, "tuned_epochs": tuned_epochs,
        "images": images, "diagnosed": diagnosed, "seed": seed,
    },
    data=data.summary(),
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()

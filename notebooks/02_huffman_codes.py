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
# # Notebook: Huffman codes and mixed radix
#
# A spike train is a word of zeros and ones. Which word should stand for which value? First on a
# synthetic source and on activations recorded from a trained network, against the fewest spikes
# that any code can have; then in the network.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
network = "small_cnn"  # small_cnn, resnet8, resnet20, ...
checkpoint = ""  # trained weights; empty: train here
epochs = 40  # of training, if there is no checkpoint
snr = 30.0  # dB: at which codes are compared
frontier_steps = [4, 8]  # time steps K for the fewest spikes at each SNR
fit_seconds = 2.0  # for the code with free thresholds, resets and weights
network_snr = [18, 22, 26, 30]  # dB: what the layers of the network are designed for
radix_steps = [4, 8, 10]  # time steps K of the mixed-radix codes in the network
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

from fsrepro import codes, figures, fitting, measures
from fsrepro.conversion import convert, normal_form, record, with_decoders
from fsrepro.experiments import datasets, models, training
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

logging.getLogger("tensorflow").setLevel("ERROR")  # importing TensorFlow resets it
figures.set_style()
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))

# %% [markdown]
# ## Words
#
# Twelve levels of a rectified Gaussian, and three ways to give them words. Huffman's words are
# the shortest on average; a word ends when the receiver, who walks down the tree, arrives at a
# leaf. If a spike costs four time steps, longer words with fewer spikes are cheaper. And if all
# words may take K = 6 steps, the likelier a level, the fewer its spikes.

# %%
source = fitting.gaussian(-0.3, 1)
levels = codes.uniform_levels(12, 3.6)
x = np.random.default_rng(seed).normal(-0.3, 1, 1_000_000).astype(np.float32)
p = codes.level_probability(levels, x)
assignments = {
    "Huffman": codes.huffman_words(p),
    "a spike costs 4 steps": codes.letter_cost_words(p, spike_cost=4),
    "fewest spikes, K = 6": codes.fewest_spikes_words(p, 6),
}
pd.DataFrame({"level": levels, "probability": p, **assignments}).style.format(
    {"level": "{:.1f}", "probability": "{:.4f}"}
).hide()

# %%
written = {name: codes.PrefixCode(words, levels) for name, words in assignments.items()}
pd.DataFrame(
    {
        "words": name,
        "entropy (bits)": codes.entropy(p),
        "mean latency (steps)": code.mean_latency(p),
        "worst latency": code.worst_latency,
        "spikes": code.mean_spikes(p),
        "decoder states": code.decoder_states,
    }
    for name, code in written.items()
).style.format(precision=3).hide()

# %% [markdown]
# ## What a spike costs in time
#
# The price of a spike trades latency for spikes. Every point of the line below is a set of words
# for the same levels, those that rounding needs for the SNR of the comparison. Mixed-radix codes
# write the same levels with a decoder that is a weighted sum.

# %%
power = source.mean(lambda x: fitting.relu(x) ** 2)
prices = [0, 0.5, 1, 2, 4, 8, 16, 32]
words = {
    f"{price:g}": fitting.words_of(
        lambda p, price=price: codes.letter_cost_words(p, spike_cost=price), name=f"price {price:g}"
    )
    for price in prices
}
priced = fitting.compare(words, source, snr).assign(price=prices)
radix = fitting.compare(
    {f"K = {K}": fitting.mixed_radix_of(K) for K in (6, 8, 10, 12)}, source, snr
)
book_figures.price_of_spikes(priced, radix)
plt.show()

# %% [markdown]
# ## The trained network, and what its layers look like

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
calibration_answers = measures.predict_classes(ann, x_calibration)
ann_calibration = 100 * float((calibration_answers == data.calibration.labels).mean())
recorded = record(normal_form(ann), x_calibration, seed=seed)
sources = {name: fitting.empirical(x, name=name) for name, x in recorded.items()}
display(Markdown(f"The ANN answers {ann_accuracy:.2f} % of {len(test):,} test images rightly."))

# %%
book_figures.activations(recorded)
plt.show()

# %% [markdown]
# ## Every code against the bound
#
# Each kind of code is designed for the SNR of the comparison on the synthetic source,
# max(x, 0) of x drawn from N(-0.3, 1), and on what was recorded from each layer. The bound is the
# fewest spikes that any code of as many time steps can have, whatever its decoder. To add a code,
# add a line; a second one in `in_network` below shows it in the network.

# %%
kinds = {
    "rate": fitting.scaled(
        *(lambda a, K=K: codes.rate(K, a, rounding=True) for K in (16, 24, 32, 48, 64))
    ),
    "binary, floor": fitting.scaled(*(lambda a, K=K: codes.binary(K, a) for K in range(3, 9))),
    "binary, rounding": fitting.scaled(
        *(lambda a, K=K: codes.binary(K, a, rounding=True) for K in range(3, 9))
    ),
    "leading one, 3 spikes": fitting.scaled(lambda a: codes.leading_one(8, a, spikes=3)),
    "leading one, 4 spikes": fitting.scaled(lambda a: codes.leading_one(8, a, spikes=4)),
    "geometric, 2 spikes, K = 16": fitting.scaled(
        *(lambda a, r=r: codes.geometric(16, a, ratio=r, spikes=2) for r in (1.2, 1.3, 1.4, 1.6))
    ),
    "geometric, 3 spikes, K = 16": fitting.scaled(
        *(lambda a, r=r: codes.geometric(16, a, ratio=r, spikes=3) for r in (1.2, 1.3, 1.4, 1.6))
    ),
    "exponent + mantissa, 8 bits": fitting.scaled(
        *(
            lambda a, e=e: codes.ExponentMantissa(e, 8 - e, a, rounding=True, silent_zero=True)
            for e in (1, 2, 3)
        )
    ),
    "Huffman": fitting.words_of(codes.huffman_words, name="Huffman"),
    "letter costs (spike 4)": fitting.words_of(
        lambda p: codes.letter_cost_words(p, spike_cost=4), name="letter costs"
    ),
    "fewest spikes, K = 8": fitting.words_of(
        lambda p: codes.fewest_spikes_words(p, 8), name="fewest spikes"
    ),
    "fewest spikes, K = 16": fitting.words_of(
        lambda p: codes.fewest_spikes_words(p, 16), name="fewest spikes"
    ),
    "mixed radix, K = 8": fitting.mixed_radix_of(8),
    "mixed radix, K = 10": fitting.mixed_radix_of(10),
    "mixed radix, K = 16": fitting.mixed_radix_of(16),
    "fitted, K = 8": fitting.fitted_to(8, seconds=fit_seconds, seed=seed),
}

# %% tags=["remove-stderr"]
compared = pd.concat(
    [
        fitting.compare(kinds, distribution, snr).assign(source=name)
        for name, distribution in tqdm({"synthetic": source, **sources}.items(), desc="sources")
    ],
    ignore_index=True,
)
shown = {
    "kind": "code", "linear": "linear", "steps": "K", "snr": "SNR (dB)", "spikes": "spikes",
    "mean_latency": "mean latency", "decoder_states": "decoder states", "bound": "bound",
    "ratio_to_bound": "ratio to bound",
}  # fmt: skip
synthetic = compared[compared["source"] == "synthetic"]
for row in synthetic[synthetic["spikes"].isna()].itertuples():
    print(f"{row.kind}: {row.code}")  # why not
synthetic[list(shown)].rename(columns=shown).style.format(precision=3, na_rep="–").hide()

# %%
book_figures.ratio_to_bound(compared)
plt.show()

# %% [markdown]
# ## The fewest spikes at each SNR
#
# The lowest line is the bound. *Any decoder* is the best quantiser found whose levels have words
# by probability, without any structure.

# %%
front = fitting.frontier(source, frontier_steps)
book_figures.frontier(front)
plt.show()

# %% [markdown]
# ## In the network
#
# Every layer is designed for the same SNR on its recorded activations. Codes that are not linear
# run with a decoder behind each neuron. Settings to be quoted are chosen on calibration images,
# which were held out from training, and measured on test images.

# %% tags=["remove-stderr"]
in_network = {
    "binary, rounding": kinds["binary, rounding"],
    **{f"mixed radix, K = {K}": fitting.mixed_radix_of(K) for K in radix_steps},
    "Huffman": kinds["Huffman"],
    "letter costs (spike 4)": kinds["letter costs (spike 4)"],
    "fewest spikes, K = 8": kinds["fewest spikes, K = 8"],
}


def spiking(kind, snr):
    designed = {name: in_network[kind](source, snr) for name, source in sources.items()}
    if all(code.linear for code in designed.values()):
        return convert(ann, x_calibration, code=designed)
    return with_decoders(ann, designed)


def evaluated(snn, setting, target=np.nan):
    calibration = measures.evaluate(
        snn, x_calibration, data.calibration.labels, ann=calibration_answers
    )
    report = measures.evaluate(snn, x_test, test.labels, ann=answers)
    reports[setting, target] = report
    return {
        "setting": setting, "snr_target": target, **report.row(),
        "calibration_accuracy": calibration.accuracy,
        "calibration_agreement": calibration.agreement,
    }  # fmt: skip


networks, reports, rows, missed = {}, {}, [], []
paper = convert(ann, x_calibration, code="binary_floor", steps=10, scale=25.0)
rows.append(evaluated(paper, "paper"))
default = convert(ann, x_calibration, code="mixed_radix", steps=10, seed=seed)
rows.append(evaluated(default, "mixed radix, K = 10, default"))
for kind, target in tqdm([(k, t) for k in in_network for t in network_snr], desc="networks"):
    try:
        networks[kind, target] = spiking(kind, target)
    except ValueError as error:
        missed.append(f"{kind}, {target} dB: {error}")
        continue
    rows.append(evaluated(networks[kind, target], kind, target))
table = pd.DataFrame(rows)
if missed:
    print("\n".join(missed))

# %%
paper_spikes = reports["paper", rows[0]["snr_target"]].spikes_per_neuron
book_figures.against_spikes(table, reference=ann_accuracy, mark=paper_spikes / 2)
plt.show()

# %%
columns = {
    "setting": "setting", "snr_target": "SNR (dB)", "steps": "K", "accuracy": "accuracy %",
    "agreement": "same answer %", "spikes_per_neuron": "spikes per neuron",
    "latency_steps": "latency (steps)", "synops_per_image": "SynOps per image",
    "macs_per_image": "multiplications per image",
}  # fmt: skip
table[list(columns)].rename(columns=columns).style.format(
    {"SNR (dB)": "{:.0f}", "accuracy %": "{:.2f}", "same answer %": "{:.2f}",
     "spikes per neuron": "{:.3f}", "SynOps per image": "{:,.0f}",
     "multiplications per image": "{:,.0f}"}, na_rep="–",
).hide()  # fmt: skip

# %% [markdown]
# ## Accuracy against time steps
#
# The mixed-radix codes with the fewest spikes that hold accuracy on the calibration images: at
# most 0.2 points below the ANN there. Where none does, the one with the best accuracy there.


# %%
def chosen(rows):
    held = rows[rows["calibration_accuracy"] >= ann_calibration - 0.2]
    if len(held):
        return held.loc[held["spikes_per_neuron"].idxmin()]
    return rows.loc[rows["calibration_accuracy"].idxmax()]


radix_rows = table[table["snr_target"].notna() & table["setting"].str.startswith("mixed radix")]
by_steps = pd.DataFrame([chosen(rows) for _, rows in radix_rows.groupby("steps")])
book_figures.by_steps(by_steps, reference=ann_accuracy)
plt.show()

# %%
by_steps[list(columns)].rename(columns=columns).style.format(
    {"SNR (dB)": "{:.0f}", "accuracy %": "{:.2f}", "same answer %": "{:.2f}",
     "spikes per neuron": "{:.3f}", "SynOps per image": "{:,.0f}",
     "multiplications per image": "{:,.0f}"}
).hide()  # fmt: skip

# %% [markdown]
# ## What decoding costs
#
# A synapse multiplies and adds. The words of Huffman codes must be decoded before that: a table
# walked by every neuron at every time step of its word. The layer waits for its longest word, and
# what comes out are numbers, so that the weighted layers behind it multiply.

# %% tags=["remove-stderr"]
at = min(network_snr, key=lambda target: abs(target - 26))
decoding = pd.concat(
    [
        measures.decoding_costs(networks[kind, at], x_calibration, seed=seed)
        .assign(setting=kind)
        for kind in ("Huffman", "letter costs (spike 4)", "fewest spikes, K = 8")
        if (kind, at) in networks
    ],
    ignore_index=True,
)  # fmt: skip
decoding.style.format(precision=2, thousands=",").hide()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
most = max(10, min(radix_steps))  # ten steps, or the fewest there are
few_steps = radix_rows[radix_rows["steps"] <= most]
pick, default, paper = chosen(few_steps), table.iloc[1], table.iloc[0]
value = synthetic.set_index("kind")
mean_ratio = (
    compared[compared["source"] != "synthetic"]
    .groupby("kind")["ratio_to_bound"]
    .agg(lambda ratio: np.exp(np.log(ratio).mean()))
)


def near(kind):
    """The row of ``kind`` that was designed for the SNR of the chosen mixed radix."""
    rows = table[(table["setting"] == kind) & (table["snr_target"] == pick["snr_target"])]
    return rows.iloc[0] if len(rows) else table[table["setting"] == kind].iloc[-1]


per_setting = decoding.groupby("setting", sort=False)
headline = {
    "images": len(test),
    "snr": snr,
    "ann_accuracy": ann_accuracy,
    "synthetic_radix8_spikes": value.loc["mixed radix, K = 8", "spikes"],
    "synthetic_radix16_spikes": value.loc["mixed radix, K = 16", "spikes"],
    "synthetic_floor_spikes": value.loc["binary, floor", "spikes"],
    "synthetic_round_spikes": value.loc["binary, rounding", "spikes"],
    "synthetic_huffman_spikes": value.loc["Huffman", "spikes"],
    "synthetic_huffman_latency": value.loc["Huffman", "mean_latency"],
    "synthetic_huffman_worst": int(value.loc["Huffman", "steps"]),
    "synthetic_entropy": value.loc["Huffman", "entropy"],
    "synthetic_letter_spikes": value.loc["letter costs (spike 4)", "spikes"],
    "synthetic_letter_latency": value.loc["letter costs (spike 4)", "mean_latency"],
    "synthetic_fewest8_spikes": value.loc["fewest spikes, K = 8", "spikes"],
    "synthetic_fewest16_spikes": value.loc["fewest spikes, K = 16", "spikes"],
    "synthetic_fitted_spikes": value.loc["fitted, K = 8", "spikes"],
    "synthetic_rate_spikes": value.loc["rate", "spikes"],
    "synthetic_radix8_ratio": value.loc["mixed radix, K = 8", "ratio_to_bound"],
    "synthetic_radix16_ratio": value.loc["mixed radix, K = 16", "ratio_to_bound"],
    "synthetic_floor_ratio": value.loc["binary, floor", "ratio_to_bound"],
    "synthetic_huffman_ratio": value.loc["Huffman", "ratio_to_bound"],
    "synthetic_fewest8_ratio": value.loc["fewest spikes, K = 8", "ratio_to_bound"],
    "recorded_radix8_ratio": mean_ratio["mixed radix, K = 8"],
    "recorded_radix16_ratio": mean_ratio["mixed radix, K = 16"],
    "recorded_floor_ratio": mean_ratio["binary, floor"],
    "recorded_fewest8_ratio": mean_ratio["fewest spikes, K = 8"],
    "recorded_huffman_ratio": mean_ratio["Huffman"],
    "paper_accuracy": paper["accuracy"],
    "paper_spikes": paper["spikes_per_neuron"],
    "paper_synops": paper["synops_per_image"],
    "default_accuracy": default["accuracy"],
    "default_spikes": default["spikes_per_neuron"],
    "chosen_steps": int(pick["steps"]),
    "chosen_snr": int(pick["snr_target"]),
    "chosen_accuracy": pick["accuracy"],
    "chosen_agreement": pick["agreement"],
    "chosen_calibration_loss": ann_calibration - pick["calibration_accuracy"],
    "chosen_loss": ann_accuracy - pick["accuracy"],
    "chosen_spikes": pick["spikes_per_neuron"],
    "chosen_share": pick["spikes_per_neuron"] / paper["spikes_per_neuron"],
    "chosen_synops": pick["synops_per_image"],
    "huffman_accuracy": near("Huffman")["accuracy"],
    "huffman_spikes": near("Huffman")["spikes_per_neuron"],
    "huffman_latency": int(near("Huffman")["latency_steps"]),
    "letter_accuracy": near("letter costs (spike 4)")["accuracy"],
    "letter_spikes": near("letter costs (spike 4)")["spikes_per_neuron"],
    "fewest_accuracy": near("fewest spikes, K = 8")["accuracy"],
    "fewest_spikes": near("fewest spikes, K = 8")["spikes_per_neuron"],
    "fewest_latency": int(near("fewest spikes, K = 8")["latency_steps"]),
    "binary_spikes": near("binary, rounding")["spikes_per_neuron"],
    "binary_accuracy": near("binary, rounding")["accuracy"],
    "macs": int(near("Huffman")["macs_per_image"]),
    "decoding_snr": at,
    "huffman_lookups": per_setting["lookups_per_image"].sum()["Huffman"],
    "fewest_lookups": per_setting["lookups_per_image"].sum()["fewest spikes, K = 8"],
    "huffman_states": int(per_setting["decoder_states"].max()["Huffman"]),
    "fewest_states": int(per_setting["decoder_states"].max()["fewest spikes, K = 8"]),
    "huffman_worst": int(per_setting["worst_latency"].max()["Huffman"]),
}
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
result_files.write(
    results,
    "02_huffman_codes",
    tables={
        "": table, "codes": compared, "prices": priced, "radix": radix, "frontier": front,
        "by_steps": by_steps, "decoding": decoding,
    },
    headline=headline,
    headline_rows=[
        {
            "dataset": dataset,
            "network": network,
            "activation": "relu",
            "code": row["setting"],
            "steps": row["steps"],
            "fine_tuned": False,
            "images": row["images"],
            "ann_accuracy": ann_accuracy,
            "snn_accuracy": row["accuracy"],
            "agreement": row["agreement"],
            "spikes_per_neuron": row["spikes_per_neuron"],
            "synops_per_image": row["synops_per_image"],
            "simulator": "keras",
        }
        for row in rows[1:]
    ],
    parameters={
        "profile": profile, "dataset": dataset, "network": network, "checkpoint": checkpoint,
        "epochs": epochs, "snr": snr, "frontier_steps": frontier_steps,
        "fit_seconds": fit_seconds, "network_snr": network_snr, "radix_steps": radix_steps,
        "images": images, "seed": seed,
    },
    data=data.summary(),
)  # fmt: skip

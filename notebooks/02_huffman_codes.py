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
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, fitting, measures
from fsrepro.conversion import convert
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

given = notebook.parameters(globals())
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
        partial(codes.letter_cost_words, spike_cost=price), name=f"price {price:g}"
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
study = notebook.Study.of(
    data, network, images=images, checkpoint=checkpoint, epochs=epochs, seed=seed
)
sources = {name: study.source(name) for name in study.recorded}
Markdown(str(study))

# %%
book_figures.activations(study.recorded)
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
    "rate": fitting.scaled(*(partial(codes.rate, K, rounding=True) for K in (16, 24, 32, 48, 64))),
    "binary, floor": fitting.scaled(*(partial(codes.binary, K) for K in range(3, 9))),
    "binary, rounding": fitting.scaled(
        *(partial(codes.binary, K, rounding=True) for K in range(3, 9))
    ),
    **{
        f"leading one, {m} spikes": fitting.scaled(partial(codes.leading_one, 8, spikes=m))
        for m in (3, 4)
    },
    **{
        f"geometric, {m} spikes, K = 16": fitting.scaled(
            *(partial(codes.geometric, 16, ratio=r, spikes=m) for r in (1.2, 1.3, 1.4, 1.6))
        )
        for m in (2, 3)
    },
    "exponent + mantissa, 8 bits": fitting.scaled(
        *(
            partial(codes.ExponentMantissa, e, 8 - e, rounding=True, silent_zero=True)
            for e in (1, 2, 3)
        )
    ),
    "Huffman": fitting.words_of(codes.huffman_words, name="Huffman"),
    "letter costs (spike 4)": fitting.words_of(
        partial(codes.letter_cost_words, spike_cost=4), name="letter costs"
    ),
    "fewest spikes, K = 8": fitting.words_of(
        partial(codes.fewest_spikes_words, steps=8), name="fewest spikes"
    ),
    "fewest spikes, K = 16": fitting.words_of(
        partial(codes.fewest_spikes_words, steps=16), name="fewest spikes"
    ),
    **{f"mixed radix, K = {K}": fitting.mixed_radix_of(K) for K in (8, 10, 16)},
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
synthetic = compared[compared["source"] == "synthetic"]
for row in synthetic[synthetic["spikes"].isna()].itertuples():
    print(f"{row.kind}: {row.code}")  # why not
shown = ["kind", "linear", "steps", "snr", "spikes", "mean_latency", "decoder_states", "bound",
         "ratio_to_bound"]  # fmt: skip
notebook.shown(synthetic, shown).style.hide()

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
decoded = ["Huffman", "letter costs (spike 4)", "fewest spikes, K = 8"]
in_network = {
    "binary, rounding": kinds["binary, rounding"],
    **{f"mixed radix, K = {K}": fitting.mixed_radix_of(K) for K in radix_steps},
    **{kind: kinds[kind] for kind in decoded},
}


def row_of(snn, setting, target=np.nan):
    return {"setting": setting, "snr_target": target, **study.row(snn)}


ann, x = study.ann, study.x_calibration
paper = convert(ann, x, code="binary_floor", steps=10, scale=25.0)
default = convert(ann, x, steps=10, seed=seed)
rows = [row_of(paper, "paper"), row_of(default, "mixed radix, K = 10, default")]
networks = {}
for kind, target in tqdm([(k, t) for k in in_network for t in network_snr], desc="networks"):
    try:
        networks[kind, target] = study.coded(in_network[kind], target)
    except ValueError as error:
        print(f"{kind}, {target} dB: {error}")
        continue
    rows.append(row_of(networks[kind, target], kind, target))
table = pd.DataFrame(rows)

# %%
half = rows[0]["spikes_per_neuron"] / 2
book_figures.against_spikes(table, reference=study.accuracy, mark=half)
plt.show()

# %%
shown = ["setting", "snr_target", "steps", "accuracy", "agreement", "spikes_per_neuron",
         "latency_steps", "synops_per_image", "macs_per_image"]  # fmt: skip
notebook.shown(table, shown).style.hide()

# %% [markdown]
# ## Accuracy against time steps
#
# The mixed-radix codes with the fewest spikes that hold accuracy on the calibration images: at
# most 0.2 points below the ANN there. Where none does, the one with the best accuracy there.


# %%
def chosen(rows):
    held = rows["calibration_accuracy"] >= study.calibration_accuracy - 0.2
    return rows.loc[notebook.fewest_spikes(rows, held, rows["calibration_accuracy"])]


radix_rows = table[table["snr_target"].notna() & table["setting"].str.startswith("mixed radix")]
by_steps = pd.DataFrame([chosen(rows) for _, rows in radix_rows.groupby("steps")])
book_figures.by_steps(by_steps, reference=study.accuracy)
plt.show()

# %%
notebook.shown(by_steps, shown).style.hide()

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
        measures.decoding_costs(networks[kind, at], x, seed=seed).assign(setting=kind)
        for kind in decoded
        if (kind, at) in networks
    ],
    ignore_index=True,
)
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


at_equal = {
    kind: notebook.spikes_at(rows, pick["accuracy"]) for kind, rows in table.groupby("setting")
}
short = {
    "radix8": "mixed radix, K = 8", "radix16": "mixed radix, K = 16", "floor": "binary, floor",
    "round": "binary, rounding", "huffman": "Huffman", "letter": "letter costs (spike 4)",
    "fewest8": "fewest spikes, K = 8", "fewest16": "fewest spikes, K = 16",
    "fitted": "fitted, K = 8", "rate": "rate",
}  # fmt: skip
per_setting = decoding.groupby("setting", sort=False)
headline = {
    "images": len(study.labels),
    "snr": snr,
    "ann_accuracy": study.accuracy,
    **{f"synthetic_{key}_spikes": value.loc[kind, "spikes"] for key, kind in short.items()},
    **{f"synthetic_{key}_ratio": value.loc[kind, "ratio_to_bound"] for key, kind in short.items()},
    **{f"recorded_{key}_ratio": mean_ratio[kind] for key, kind in short.items()},
    "synthetic_huffman_latency": value.loc["Huffman", "mean_latency"],
    "synthetic_huffman_worst": int(value.loc["Huffman", "steps"]),
    "synthetic_entropy": value.loc["Huffman", "entropy"],
    "synthetic_letter_latency": value.loc["letter costs (spike 4)", "mean_latency"],
    **notebook.quoted("paper", paper, "accuracy spikes synops"),
    **notebook.quoted("default", default, "accuracy spikes"),
    **notebook.quoted("chosen", pick, "steps accuracy agreement spikes synops"),
    "chosen_snr": int(pick["snr_target"]),
    "chosen_calibration_loss": study.calibration_accuracy - pick["calibration_accuracy"],
    "chosen_loss": study.accuracy - pick["accuracy"],
    "chosen_share": pick["spikes_per_neuron"] / paper["spikes_per_neuron"],
    **notebook.quoted("huffman", near("Huffman"), "accuracy spikes latency"),
    **notebook.quoted("letter", near("letter costs (spike 4)"), "accuracy spikes"),
    **notebook.quoted("fewest", near("fewest spikes, K = 8"), "accuracy spikes latency"),
    **notebook.quoted("binary", near("binary, rounding"), "accuracy spikes"),
    # At the accuracy of the chosen one, between settings.
    "equal_binary_spikes": at_equal["binary, rounding"],
    "equal_share": pick["spikes_per_neuron"] / at_equal["binary, rounding"],
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
        "": table,
        "codes": compared,
        "prices": priced,
        "radix": radix,
        "frontier": front,
        "by_steps": by_steps,
        "decoding": decoding,
    },
    headline=headline,
    headline_rows=notebook.headline_rows(
        table[1:], dataset=dataset, network=network, ann_accuracy=study.accuracy
    ),
    parameters=given,
    data=data.summary(),
)

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
# # Ten public failures, run here
#
# Ten needs that users of other tools reported in public. For each: the report in one sentence, a
# small network written the way users write them, and what this library says to it. A refusal is an
# answer too, if its message tells what to do.
#
# The networks are trained here in seconds, on data that needs no download: handwritten digits, and
# for regression the progress of diabetes, both shipped with scikit-learn. They are small, so their
# numbers say that a conversion works. How good it is, the chapters measure.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
images = 500  # test images, from the first
calibration = 32  # images that the conversion sees
epochs = 10  # of training, on digits
regression_epochs = 30  # of training, on diabetes
seed = 0

# %% tags=["hide-input"]
import tempfile
import textwrap
from pathlib import Path

import keras
import nir
import numpy as np
import onnx
import pandas as pd
from IPython.display import Markdown, display
from keras import layers, ops
from sklearn.datasets import load_diabetes

import fsrepro
from fsrepro import activations, energy, export
from fsrepro.conversion import UnsupportedLayerError
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import results as result_files

given = notebook.parameters(globals())
keras.utils.set_random_seed(seed)
data = datasets.load("digits", seed=seed)
x_train, y_train = data.arrays("train")
some = data.arrays("calibration")[0][:calibration]
x, y = (part[:images] for part in data.arrays("test"))
folder = Path(tempfile.mkdtemp())
cases = []
measured = [
    "agreement", "spikes_per_neuron", "synops_per_image", "macs_per_image", "ann_macs_per_image",
    "neurons", "neuron_updates", "steps", "latency_steps", "images",
]  # fmt: skip


def noted(case, thread, outcome, report, measure="accuracy"):
    """A row of the results: the need, who reported it, what came out, what was measured."""
    repository, number = thread.split("#")
    cases.append(
        {
            "case": case,
            "source": f"https://github.com/{repository}/issues/{number}",
            "outcome": outcome,
            "measure": measure,
            "ann": report.ann_quality[measure],
            "snn": report.quality[measure],
            **{name: report.row()[name] for name in measured},
        }
    )


def said(refusal):
    """A message, in lines that fit the page, without the folder of this run."""
    text = f"{type(refusal).__name__}: {refusal}".replace(f"{folder}/", "")
    print(textwrap.fill(text, 80))


display(Markdown(f"**Profile {profile}**: {len(x):,} test images."))

# %% [markdown]
# ## Where did my accuracy go?
#
# [snn_toolbox #115](https://github.com/NeuromorphicProcessorProject/snn_toolbox/issues/115): a
# residual network fell to chance when it was converted, and its owner had plots that compare both
# networks but did not know what to look for in them.
#
# A residual network again. It is converted with the range of 25 in all layers that the few-spikes
# paper used, and five time steps instead of ten.

# %% tags=["remove-stderr"]
pixels = keras.Input((8, 8, 1))
h = layers.Conv2D(8, 3, padding="same", activation="relu")(pixels)
skip = layers.AveragePooling2D(2)(h)
h = layers.Conv2D(8, 3, padding="same", use_bias=False)(skip)
h = layers.ReLU()(layers.BatchNormalization()(h))
h = layers.Conv2D(8, 3, padding="same")(h)
h = layers.ReLU()(layers.Add()([h, skip]))
resnet = keras.Model(pixels, layers.Dense(10, activation="softmax")(layers.Flatten()(h)))
resnet.compile("adam", "sparse_categorical_crossentropy")
resnet.fit(x_train, y_train, epochs=epochs, verbose=0)

poor = fsrepro.convert(resnet, some, code="binary_floor", steps=5, scale=25.0)
poorly = fsrepro.evaluate(poor, x, y, ann=resnet)
print(f"trained {poorly.ann_quality['accuracy']:.1f} %, spiking {poorly.accuracy:.1f} %")

# %% [markdown]
# `diagnose` gives each layer a row. `snr` is the error of its own code, `snr_to_ann` that with the
# errors of all layers before. The last column is what that layer costs if it alone spikes. A low
# `snr` with nothing `saturated` and many `dead` neurons is a range too wide for so few steps.

# %% tags=["remove-stderr"]
diagnosis = fsrepro.diagnose(resnet, poor, x, y)
shown = ["layer", "snr", "snr_to_ann", "saturated", "dead", "agreement_alone",
         "accuracy_lost_alone"]  # fmt: skip
notebook.shown(diagnosis, shown).style.format(precision=1).hide()

# %% [markdown]
# So each layer needs a range of its own. That is the default:

# %% tags=["remove-stderr"]
snn = fsrepro.convert(resnet, some)
mended = report = fsrepro.evaluate(snn, x, y, ann=resnet)
print(f"trained {report.ann_quality['accuracy']:.1f} %, spiking {report.accuracy:.1f} %")
noted("diagnosis", "NeuromorphicProcessorProject/snn_toolbox#115", "found and mended", report)

# %% [markdown]
# ## How many spikes, and how much energy?
#
# [spikingjelly #258](https://github.com/fangwei123456/spikingjelly/issues/258): someone asked for
# the energy and the latency of a network, and was told to look for a package that counts the
# operations of each layer, to monitor firing rates, and to multiply.
#
# The report counts spikes, synaptic operations, the multiplications that are left, and time steps.

# %%
print(report)

# %% [markdown]
# One formula makes energy of these counts, for both networks: every multiplication and addition at
# its price in 45 nm. Moving data is not in it.

# %%
spent = energy.energy(report)
noted("energy", "fangwei123456/spikingjelly#258", "counted, one formula", report)
notebook.shown(spent).style.hide()

# %% [markdown]
# ## My network is an ONNX file
#
# [snn_toolbox #96](https://github.com/NeuromorphicProcessorProject/snn_toolbox/issues/96): a
# PyTorch network went through ONNX to Keras, and the check that followed found every output wrong.
#
# The file below is what PyTorch writes: channels first, one pixel of padding on all four sides,
# max-pooling, and a flattening whose order matters to the layer behind it. Its weights were trained
# in Keras, so that nobody needs PyTorch to run this page.

# %% tags=["hide-input", "remove-stderr"]
twin = keras.Sequential(
    [
        keras.Input((1, 8, 8)),
        layers.Permute((2, 3, 1)),
        layers.ZeroPadding2D(1),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.ZeroPadding2D(1),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Permute((3, 1, 2)),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
twin.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
twin.fit(np.moveaxis(x_train, 3, 1), y_train, epochs=epochs, verbose=0)

network = onnx.parser.parse_model(
    """<ir_version: 8, opset_import: ["": 17]>
    main_graph (float[N, 1, 8, 8] input) => (float[N, 10] output) {
        conv1 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (input, conv1_weight, conv1_bias)
        relu1 = Relu (conv1)
        conv2 = Conv <pads = [1, 1, 1, 1]> (relu1, conv2_weight, conv2_bias)
        relu2 = Relu (conv2)
        pool = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu2)
        flat = Flatten <axis = 1> (pool)
        output = Gemm <transB = 1> (flat, fc_weight, fc_bias)
    }"""
)
kernel1, bias1, kernel2, bias2, kernel3, bias3 = twin.get_weights()
weights = {
    "conv1_weight": kernel1.transpose(3, 2, 0, 1), "conv1_bias": bias1,
    "conv2_weight": kernel2.transpose(3, 2, 0, 1), "conv2_bias": bias2,
    "fc_weight": kernel3.T, "fc_bias": bias3,
}  # fmt: skip
network.graph.initializer.extend(
    onnx.numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()
)
onnx.save(network, folder / "network.onnx")

# %% [markdown]
# The path is all that is needed. Before anything is converted, what was read is held against ONNX
# Runtime on some of the images. If it differed, the message would name the first node that does.

# %% tags=["remove-stderr"]
path = folder / "network.onnx"
from_onnx = fsrepro.convert(path, np.moveaxis(some, 3, 1))
report = fsrepro.evaluate(from_onnx, np.moveaxis(x, 3, 1), y, ann=path)
print(report)
noted("onnx", "NeuromorphicProcessorProject/snn_toolbox#96", "converted, checked", report)

# %% [markdown]
# Images with channels last do not fit such a file. The message says what does:

# %%
try:
    fsrepro.convert(path, some)
except ValueError as refusal:
    said(refusal)

# %% [markdown]
# ## It ran without an error, and nothing was converted
#
# [spikingjelly #517](https://github.com/fangwei123456/spikingjelly/issues/517): a ResNet went
# through the converter without complaint and came out without a single spiking neuron, because it
# calls ReLU as a function and not as a layer.
#
# Here is such a network, with functions where layers could be. Its `call` is followed.


# %% tags=["remove-stderr"]
class Encoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv1 = layers.Conv2D(8, 3)
        self.conv2 = layers.Conv2D(8, 3)
        self.classifier = layers.Dense(10)

    def call(self, x):
        x = ops.relu(self.conv1(x))
        x = ops.relu(self.conv2(x))
        return self.classifier(ops.reshape(x, (-1, 128)))


encoder = Encoder()
encoder.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
encoder.fit(x_train, y_train, epochs=epochs, verbose=0)
report = fsrepro.evaluate(fsrepro.convert(encoder, some), x, y, ann=encoder)
print(report)
noted("functions", "fangwei123456/spikingjelly#517", "converted; a layer refused", report)

# %% [markdown]
# What has no spiking form is never passed over. It is refused by name, before anything is computed:

# %%
normed = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.LayerNormalization(),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
try:
    fsrepro.convert(normed, some)
except UnsupportedLayerError as refusal:
    said(refusal)

# %% [markdown]
# ## Concatenation and upsampling: a U-Net
#
# [spikingjelly #170](https://github.com/fangwei123456/spikingjelly/issues/170): a network with
# concatenation and upsampling could not be converted, and the answer warned of max-pooling, which
# does not carry over to spikes that are counted.
#
# A U-Net has all three. This one tells ink from paper in noisy pictures, pixel by pixel. They come
# as uint8 into a layer that scales them, and masks are (N, H, W, 1).

# %% tags=["remove-stderr"]
chance = np.random.default_rng(seed)


def noisy(part):
    return np.clip(part.images + chance.normal(0, 90, part.images.shape), 0, 255).astype("uint8")


def convolved(filters, x):
    return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)


pixels = keras.Input((8, 8, 1), dtype="uint8")
fine = convolved(8, layers.Rescaling(1 / 255)(pixels))
coarse = convolved(16, layers.MaxPooling2D(2)(fine))
fine = convolved(8, layers.Concatenate()([layers.UpSampling2D(2)(coarse), fine]))
unet = keras.Model(pixels, layers.Conv2D(1, 1, activation="sigmoid")(fine))
unet.compile("adam", "binary_crossentropy")
train, test = noisy(data.train), noisy(data.test)[:images]
unet.fit(train, data.train.images > 127, epochs=epochs, verbose=0)

spiking_unet = fsrepro.convert(unet, train[:calibration])
report = fsrepro.evaluate(spiking_unet, test, data.test.images[:images] > 127, ann=unet)
print(report)
noted("unet", "fangwei123456/spikingjelly#170", "converted", report, "mean_iou")

# %% [markdown]
# ## Not ReLU
#
# [hybrid-snn-conversion #7](https://github.com/nitin-rathi/hybrid-snn-conversion/issues/7): someone
# wanted PReLU, max-pooling and batch norm, and learned that the method takes none of them.
#
# All three, and two activations more. PReLU becomes two ReLUs, one for what is negative. Neurons
# with another function compute it in their soma, and write its values in spikes.

# %% tags=["remove-stderr"]
several = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 3, padding="same"),
        layers.ELU(),
        layers.Flatten(),
        layers.Dense(16, activation="mish"),
        layers.Dense(10),
    ]
)
several.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
several.fit(x_train, y_train, epochs=epochs, verbose=0)
report = fsrepro.evaluate(fsrepro.convert(several, some), x, y, ann=several)
print(report)
noted("activations", "nitin-rathi/hybrid-snn-conversion#7", "converted; one added", report)

# %% [markdown]
# An activation that is not known is refused, with the way to add it:


# %%
def bent(x):
    return ops.sqrt(ops.square(x) + 1) + x


curious = keras.Sequential(
    [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(16, activation=bent), layers.Dense(10)]
)
try:
    fsrepro.convert(curious, some)
except UnsupportedLayerError as refusal:
    said(refusal)

# %%
if "bent" not in activations.names():  # a name is given once
    activations.register("bent", lambda x: np.sqrt(np.square(x) + 1) + x, bent)
fsrepro.convert(curious, some)

# %% [markdown]
# ## Regression
#
# [spikingjelly #558](https://github.com/fangwei123456/spikingjelly/issues/558): a converted network
# for regression kept the order of the values that it predicts, but not the values.
#
# The progress of diabetes, from ten measurements of each patient. The loss that the network was
# compiled with tells that values count here and not classes. The report has RMSE, in units of the
# target, and R².

# %% tags=["remove-stderr"]
patients, progress = load_diabetes(return_X_y=True)
standardised = layers.Normalization()
standardised.adapt(patients[:342])
regressor = keras.Sequential(
    [
        standardised,
        layers.Dense(32, activation="relu"),
        layers.Dense(16, activation="relu"),
        layers.Dense(1),
    ]
)
regressor.compile(keras.optimizers.Adam(0.01), "mse")
regressor.fit(patients[:342], progress[:342], epochs=regression_epochs, verbose=0)
values = fsrepro.convert(regressor, patients[:342])
report = fsrepro.evaluate(values, patients[342:], progress[342:], ann=regressor)
print(report)
noted("regression", "fangwei123456/spikingjelly#558", "converted", report, "rmse")

# %% [markdown]
# Values, not only their order:

# %%
pd.DataFrame(
    {
        "measured": progress[342:348],
        "trained network": regressor.predict(patients[342:348], verbose=0)[:, 0],
        "spiking network": values.predict(patients[342:348])[:, 0],
    }
).style.format(precision=1).hide()

# %% [markdown]
# ## One dimension, default names, batch norm behind the activation
#
# [snn_toolbox #72](https://github.com/NeuromorphicProcessorProject/snn_toolbox/issues/72): a
# classifier of heartbeats had to be rewritten from one dimension to two, and then gave the same
# answer to everything.
#
# Signals as they are, here the pixels of a digit one after the other. Layers have the names that
# Keras gives them, batch norm follows the activation, the length of the input is left open, and
# labels are (N, 1).

# %% tags=["remove-stderr"]
signals, test_signals = x_train.reshape(-1, 64, 1), x.reshape(-1, 64, 1)
beats = keras.Sequential(
    [
        keras.Input((None, 1)),
        layers.Conv1D(8, 9, strides=2, activation="relu"),
        layers.BatchNormalization(),
        layers.Conv1D(16, 9, strides=2, activation="relu"),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling1D(),
        layers.Dense(10, activation="softmax"),
    ]
)
beats.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
beats.fit(signals, y_train[:, None], epochs=epochs, verbose=0)
spiking_beats = fsrepro.convert(beats, signals[:calibration])
report = fsrepro.evaluate(spiking_beats, test_signals, y[:, None], ann=beats)
print(report)
noted("signals", "NeuromorphicProcessorProject/snn_toolbox#72", "converted", report)

# %% [markdown]
# ## Weights of eight bits
#
# [snn_toolbox #142](https://github.com/NeuromorphicProcessorProject/snn_toolbox/issues/142): a
# network that was quantised by TensorFlow's tools could not be read, and the toolbox's own option
# failed for want of a number format.
#
# Keras quantises a trained network in one line and keeps it in one file. That file is converted;
# its weights stay what the integers say.

# %% tags=["remove-stderr"]
dense = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(10),
    ]
)
dense.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
dense.fit(x_train, y_train, epochs=epochs, verbose=0)
dense.quantize("int8")
dense.save(folder / "int8.keras")
of_integers = fsrepro.convert(folder / "int8.keras", some)
report = fsrepro.evaluate(of_integers, x, y, ann=dense)
print(report)
noted("int8", "NeuromorphicProcessorProject/snn_toolbox#142", "converted", report)

# %% [markdown]
# ## Out again: NIR
#
# [snntorch #304](https://github.com/jeshraghian/snntorch/issues/304): the export to NIR, the format
# that neuromorphic tools share, knew neither convolutions nor average pooling.
#
# The residual network of the first case has both. The file is made of NIR's own nodes; a neuron is
# a graph of thresholds within the graph. What can run such a file, `fsrepro.export` says.

# %%
export.write_nir(snn, folder / "network.nir", overwrite=True)
graph = nir.read(folder / "network.nir")
pd.Series([type(node).__name__ for node in graph.nodes.values()]).value_counts().to_frame("nodes")

# %% [markdown]
# What NIR has no word for is refused by name, here the max-pooling of the U-Net:

# %%
try:
    export.to_nir(spiking_unet)
except UnsupportedLayerError as refusal:
    said(refusal)
noted("nir", "jeshraghian/snntorch#304", "written; max-pooling refused", mended)

# %% [markdown]
# ## Results
#
# A row for each case. `ann` and `snn` are what the trained and the spiking network reach: accuracy
# and mean IoU in percent, RMSE in units of the target. Answers like the trained network's are in
# percent, in regression of their variance.

# %%
table = pd.DataFrame(cases)
table[["case", "source", "outcome"]].style.format(hyperlinks="html").hide()

# %%
shown = ["case", "measure", "ann", "snn", *measured]
notebook.shown(table, shown).style.format(precision=2).hide()

# %%
headline = {
    "images": len(x),
    "cases": len(table),
    "diagnosis_poor": poorly.accuracy,
    **{
        f"{row.case}_{name}": getattr(row, name)
        for row in table.itertuples()
        for name in ("ann", "snn")
    },
    "energy_ratio_floats": spent["ratio"][0],
    "energy_ratio_ints": spent["ratio"][1],
}
classified = table[(table["measure"] == "accuracy") & ~table["case"].isin(["energy", "nir"])]
names = classified["case"].tolist()  # but those of the first network again
result_files.write(
    results,
    "08_public_failures",
    tables={"": table, "diagnosis": diagnosis, "energy": spent},
    headline=headline,
    headline_rows=notebook.headline_rows(
        classified, dataset="digits", network=names, code="mixed radix",
        activation=["prelu, elu, mish" if name == "activations" else "relu" for name in names],
        ann_accuracy=classified["ann"].tolist(), snn_accuracy=classified["snn"].tolist(),
    ),
    parameters=given,
    data=data.summary() | {"diabetes_sha256": datasets.checksum(patients, progress)},
)  # fmt: skip

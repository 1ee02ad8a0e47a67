// A spiking network, spike by spike, as fsrepro runs it. Draws nothing.
"use strict";

window.fsNetwork = (() => {
  // Neuron n of a map sends `worth`: times a weight it is added to all that `next`, the layer
  // behind an average over pool x pool places, receives from there. Returns how many that are.
  function send(n, worth, shape, next, received) {
    const [, width, channels] = shape, [rows, columns, maps] = next.shape;
    const place = Math.floor(n / channels);
    const bottom = Math.floor(place / width / next.pool) + next.border;
    const right = Math.floor((place % width) / next.pool) + next.border;
    let operations = 0;
    for (let i = 0; i < next.size; i++)
      for (let j = 0; j < next.size; j++) {
        const row = bottom - i, column = right - j;
        if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
        const weights = ((i * next.size + j) * channels + (n % channels)) * maps;
        const receivers = (row * columns + column) * maps;
        for (let m = 0; m < maps; m++)
          received[receivers + m] += (worth / next.pool ** 2) * next.kernel[weights + m];
        operations += maps;
      }
    return operations;
  }

  // The neurons of a layer, step by step, from what they received. `fire(n, t)` for every spike.
  function step({ threshold, reset }, received, fire) {
    const v = Float32Array.from(received); // rounds, as it does below
    for (let t = 0; t < threshold.length; t++)
      for (let n = 0; n < v.length; n++)
        if (v[n] >= threshold[t]) {
          v[n] -= reset[t];
          fire(n, t);
        }
  }

  // picture: what each cell is worth. spikes: by layer, [t, n] for each. logits: what the outputs
  // received. operations: synaptic ones. Weights and biases are whole numbers of `unit`, a power of
  // two, so that no sum rounds: it is the same in any order.
  function run(layers, unit, picture) {
    const spikes = [];
    let operations = 0, values = Float64Array.from(picture);
    for (let l = 0; l + 1 < layers.length; l++) {
      const { code, shape } = layers[l], next = layers[l + 1];
      const received = new Float64Array(next.shape.reduce((a, b) => a * b));
      for (let n = 0; n < received.length; n++) received[n] = next.bias[n % next.bias.length];
      if (code) {
        const fired = [];
        if (code.offset) values.forEach((_, n) => send(n, code.offset, shape, next, received));
        step(code, values, (n, t) => {
          fired.push([t, n]);
          operations += send(n, code.weight[t], shape, next, received);
        });
        spikes.push(fired);
      } else {
        values.forEach((value, n) => send(n, value, shape, next, received)); // numbers, no spikes
      }
      values = received.map((sum) => sum * unit);
    }
    return { spikes, logits: [...values], operations };
  }

  // FNV-1a, as book/export_network.py computes it.
  const digest = (fired, neurons) =>
    fired.reduce((h, [t, n]) => Math.imul(h ^ (t * neurons + n), 16777619) >>> 0, 2166136261);

  return { run, digest };
})();

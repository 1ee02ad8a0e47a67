// The FS neuron, bit for bit as in fsrepro.codes. Draws nothing.
"use strict";

window.fsNeuron = (() => {
  const float32 = Math.fround;

  // Every table of the code times `scale`, each product rounded once to float32.
  function scaled(code, scale) {
    const result = { ...code };
    for (const field of ["threshold", "reset", "weight", "levels", "breakpoints"])
      if (code[field]) result[field] = code[field].map((number) => float32(number * scale));
    return result;
  }

  // membrane: v(1..K), as compared with the threshold. spikes: z(1..K). rest: v(K+1). value: y.
  // JavaScript computes in float64; rounding each sum makes it the float32 sum.
  function run(code, input) {
    const x = float32(input);
    if (code.words) return lookUp(code, x);
    const membrane = [], spikes = [];
    let v = x, value = 0, fired = 0;
    for (let t = 0; t < code.steps; t++) {
      membrane.push(v);
      const fires = v >= code.threshold[t] && (code.max_spikes === null || fired < code.max_spikes);
      spikes.push(fires ? 1 : 0);
      if (!fires) continue;
      v = float32(v - code.reset[t]);
      value = float32(value + code.weight[t]);
      fired++;
    }
    return { membrane, spikes, rest: v, value };
  }

  // A code with a word per level.
  function lookUp(code, x) {
    let level = 0;
    while (level < code.breakpoints.length && x >= code.breakpoints[level]) level++;
    const spikes = [...code.words[level].padEnd(code.steps, "0")].map(Number);
    return { membrane: null, spikes, rest: null, value: code.levels[level] };
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const functions = { relu: (x) => Math.max(x, 0), silu: (x) => x * sigmoid(x), sigmoid };

  const bell = (mean, deviation) => ({
    low: mean - 6 * deviation,
    high: mean + 6 * deviation,
    density: (x) => Math.exp(-(((x - mean) / deviation) ** 2) / 2),
  });
  // The values that a neuron may receive. A density need not integrate to one.
  const distributions = {
    normal: { name: "normal, mean −0.3, deviation 1", ...bell(-0.3, 1) },
    wide: { name: "normal, mean 0, deviation 1.5", ...bell(0, 1.5) },
    uniform: { name: "uniform from 0 to 4", low: 0, high: 4, density: () => 1 },
    exponential: { name: "exponential, mean 1", low: 0, high: 16, density: (x) => Math.exp(-x) },
  };

  // Averages over x: spikes per neuron, probability of a spike at each step, squared error, SNR.
  // Points are multiples of the golden ratio: evenly spread, and in step with no code's levels.
  function measure(code, f, { low, high, density }, points = 4096) {
    const firing = new Array(code.steps).fill(0);
    let total = 0, signal = 0, noise = 0;
    for (let i = 1; i <= points; i++) {
      const x = low + (high - low) * ((i * 0.6180339887498949) % 1);
      const weight = density(x);
      const { spikes, value } = run(code, x);
      spikes.forEach((z, t) => (firing[t] += weight * z));
      total += weight;
      signal += weight * f(x) ** 2;
      noise += weight * (f(x) - value) ** 2;
    }
    return {
      firing: firing.map((sum) => sum / total),
      spikes: firing.reduce((sum, part) => sum + part, 0) / total,
      mse: noise / total,
      snr: 10 * Math.log10(signal / noise),
    };
  }

  return { scaled, run, functions, distributions, measure };
})();

/* From sound to spectra, to a code and back, as the package `sdmvae_lite` computes it.
   A matrix is {rows, cols, data}, its data a Float64Array, one row an instant of the sound. */
const makeNumerics = () => {
  "use strict";

  const INPUT_FLOOR = 1e-8; // as in the package's models

  const matrix = (rows, cols) => ({ rows, cols, data: new Float64Array(rows * cols) });

  const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  /* The number that 16 bits stand for; below 2^-14 they lose their leading one. */
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  }

  /* A model from the bytes of its safetensors file: {config, window, hop, and each tensor}. */
  function readModel(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const start = 8 + Number(view.getBigUint64(0, true));
    const { __metadata__: said, ...tensors } = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, start)),
    );
    const config = JSON.parse(said.model);
    const window = 2 * (config.n_bins - 1);
    const model = { config, window, hop: config.hop_length ?? window / 4 };
    for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(tensors)) {
      const [size, read] =
        dtype === "F16"
          ? [2, (at) => half(view.getUint16(at, true))]
          : [4, (at) => view.getFloat32(at, true)];
      const data = Float64Array.from({ length: (to - from) / size }, (_, i) =>
        read(start + from + i * size),
      );
      model[name] = { rows: shape[0] ?? 1, cols: shape[1] ?? 1, data };
    }
    if (isLogLinear(model)) model.dictionary = toUnitRms(model.dictionary);
    return model;
  }

  const isLogLinear = ({ config }) => config.model === "loglinear-vae";

  /* A matrix with each column divided by its root mean square. */
  function toUnitRms({ rows, cols, data }) {
    const squares = new Float64Array(cols);
    data.forEach((value, i) => (squares[i % cols] += value * value));
    return { rows, cols, data: data.map((value, i) => value * Math.sqrt(rows / squares[i % cols])) };
  }

  const sineWindow = (n) => Float64Array.from({ length: n }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / n));

  /* Transform re + i im in place; their length is a power of two. */
  function fft(re, im) {
    const n = re.length;
    for (let i = 1, j = 0; i < n; i++) {
      let bit = n >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        [re[i], re[j]] = [re[j], re[i]];
        [im[i], im[j]] = [im[j], im[i]];
      }
    }
    const { cos, sin } = roots(n);
    for (let size = 2; size <= n; size *= 2) {
      const step = n / size;
      for (let start = 0; start < n; start += size) {
        for (let k = 0; k < size / 2; k++) {
          const a = start + k;
          const b = a + size / 2;
          const real = re[b] * cos[k * step] - im[b] * sin[k * step];
          const imaginary = re[b] * sin[k * step] + im[b] * cos[k * step];
          re[b] = re[a] - real;
          im[b] = im[a] - imaginary;
          re[a] += real;
          im[a] += imaginary;
        }
      }
    }
  }

  const known = new Map();

  /* The n-th roots of unity, computed once. */
  function roots(n) {
    if (!known.has(n)) {
      const angles = Array.from({ length: n / 2 }, (_, k) => (-2 * Math.PI * k) / n);
      known.set(n, {
        cos: Float64Array.from(angles, Math.cos),
        sin: Float64Array.from(angles, Math.sin),
      });
    }
    return known.get(n);
  }

  /* Power spectra and unit phasors (cos, sin; 1 where the power is 0) of a waveform.
     Row i is centred on sample i * hop; the ends are padded with zeros. */
  function analyse(waveform, window = 1024, hop = window / 4) {
    const rows = 1 + Math.floor(waveform.length / hop);
    const bins = window / 2 + 1;
    const [power, cos, sin] = [matrix(rows, bins), matrix(rows, bins), matrix(rows, bins)];
    const weights = sineWindow(window);
    const [re, im] = [new Float64Array(window), new Float64Array(window)];
    for (let row = 0; row < rows; row++) {
      const first = row * hop - window / 2;
      for (let i = 0; i < window; i++) re[i] = weights[i] * (waveform[first + i] ?? 0);
      im.fill(0);
      fft(re, im);
      for (let k = 0, at = row * bins; k < bins; k++, at++) {
        const magnitude = Math.hypot(re[k], im[k]);
        power.data[at] = magnitude * magnitude;
        cos.data[at] = magnitude > 0 ? re[k] / magnitude : 1;
        sin.data[at] = magnitude > 0 ? im[k] / magnitude : 0;
      }
    }
    return { power, cos, sin, window, hop, length: waveform.length };
  }

  /* The waveform whose magnitudes are the square roots of exp(logVariance), with the phase of
     `analysis`: overlapping windows, divided by the sum of their squares. */
  function synthesise(logVariance, analysis) {
    const { cos, sin, window, hop, length } = analysis;
    const { rows, cols: bins, data } = logVariance;
    const weights = sineWindow(window);
    const [sum, squares] = [new Float64Array(length), new Float64Array(length)];
    const [re, im] = [new Float64Array(window), new Float64Array(window)];
    for (let row = 0; row < rows; row++) {
      for (let k = 0, at = row * bins; k < bins; k++, at++) {
        const magnitude = Math.exp(0.5 * data[at]);
        const mirrored = (window - k) % window;
        re[k] = re[mirrored] = magnitude * cos.data[at];
        // The forward transform of the conjugate is the inverse one; the ends are real.
        im[mirrored] = mirrored === k ? 0 : magnitude * sin.data[at];
        im[k] = -im[mirrored];
      }
      fft(re, im);
      const first = row * hop - window / 2;
      const last = Math.min(window, length - first);
      for (let i = Math.max(0, -first); i < last; i++) {
        sum[first + i] += (weights[i] * re[i]) / window;
        squares[first + i] += weights[i] * weights[i];
      }
    }
    return sum.map((value, i) => value / squares[i]);
  }

  /* x W' + b, two rows by two columns at a time: each number that is read serves twice, which
     halves the time. */
  function linear(x, weight, bias) {
    const { rows, cols } = x;
    const outs = weight.rows;
    const result = matrix(rows, outs);
    const [from, by, to] = [x.data, weight.data, result.data];
    for (let row = 0; row < rows; row += 2) {
      const next = Math.min(row + 1, rows - 1);
      for (let out = 0; out < outs; out += 2) {
        const beside = Math.min(out + 1, outs - 1);
        let ac = bias ? bias.data[out] : 0;
        let ad = bias ? bias.data[beside] : 0;
        let bc = ac;
        let bd = ad;
        for (let i = 0; i < cols; i++) {
          const a = from[row * cols + i];
          const b = from[next * cols + i];
          const c = by[out * cols + i];
          const d = by[beside * cols + i];
          ac += a * c;
          ad += a * d;
          bc += b * c;
          bd += b * d;
        }
        to[row * outs + out] = ac;
        to[row * outs + beside] = ad;
        to[next * outs + out] = bc;
        to[next * outs + beside] = bd;
      }
    }
    return result;
  }

  const map = (x, change) => ({ ...x, data: x.data.map(change) });
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

  const layer = (model, name, x) => linear(x, model[`${name}.weight`], model[`${name}.bias`]);

  /* What the encoder sees of power spectra: themselves, or their standardised logarithms. */
  function features(model, power) {
    if (model.config.input !== "log-power") return power;
    const [mean, std] = [model.input_mean.data, model.input_std.data[0]];
    return map(power, (p, i) => (Math.log(p + INPUT_FLOOR) - mean[i % power.cols]) / std);
  }

  const gaussianKl = (mu, logvar) => 0.5 * (mu * mu + Math.expm1(logvar) - logvar);
  const ardKl = (mu, logvar) => (mu === 0 ? 0 : 0.5 * softplus(2 * Math.log(Math.abs(mu)) - logvar));

  function spikeAndSlabKl(mu, logvar, logit, alpha) {
    const g = sigmoid(logit);
    const active = -softplus(-logit) - Math.log(alpha);
    const silent = -softplus(logit) - Math.log1p(-alpha);
    return g * (gaussianKl(mu, logvar) + active) + (1 - g) * silent;
  }

  /* log Γ(x) - log Γ(x + 1/2): a series for large x, to which small ones are brought. */
  function gammas(x) {
    if (x < 12) return Math.log1p(0.5 / x) + gammas(x + 1);
    return 1 / (8 * x) - 1 / (192 * x ** 3) + 1 / (640 * x ** 5) - 0.5 * Math.log(x);
  }

  function studentKl(nu) {
    const constant = gammas(nu / 2) + 0.5 * Math.log(nu / 2) - 0.5;
    return (mu, logvar) =>
      0.5 * (nu + 1) * Math.log1p((mu * mu + Math.exp(logvar)) / nu) - 0.5 * logvar + constant;
  }

  /* What a coefficient costs under the model's prior, in units of its scale if it has one. */
  function price({ config, log_nu }) {
    const prior = { vae: "normal", "sdm-vae": "paper", "student-vae": "student-t" }[config.model];
    const known = { normal: gaussianKl, paper: ardKl };
    return known[prior ?? config.prior] ?? studentKl(Math.exp(log_nu.data[0]));
  }

  /* The mean and log-variance that the encoder gives each number of a code. */
  function infer(model, power) {
    const hidden = map(layer(model, "encoder_hidden", features(model, power)), Math.tanh);
    const [mu, logvar] = ["mu", "logvar"].map((name) => layer(model, `encoder_${name}`, hidden));
    return { hidden, mu, logvar };
  }

  /* The code of power spectra, and what each of its numbers costs (its KL divergence). */
  function encode(model, power) {
    const { hidden, mu, logvar: { data: logvar } } = infer(model, power);
    if (model.config.model !== "vsc") {
      const cost = price(model);
      const kl = map(mu, (m, i) => cost(m, logvar[i]));
      return isLogLinear(model) ? scaled(model, mu, kl) : { code: mu, kl };
    }
    const logit = layer(model, "encoder_gate", hidden).data;
    const { alpha } = model.config;
    return {
      code: map(mu, (m, i) => sigmoid(logit[i]) * m),
      kl: map(mu, (m, i) => spikeAndSlabKl(m, logvar[i], logit[i], alpha)),
    };
  }

  /* A log-linear model's code, in units of its atoms; with exact zeros where it keeps the dearest
     only, and then which these are costs something too, by how often each atom is used. */
  function scaled({ config: { nonzero }, log_scale, usage_logit }, mu, kl) {
    const code = map(mu, (m, i) => m * Math.exp(log_scale.data[i % mu.cols]));
    if (nonzero === null) return { code, kl };
    const active = keepDearest(map(kl, () => 1), kl, nonzero).data;
    const support = (i) => softplus(usage_logit.data[i % mu.cols] * (active[i] ? -1 : 1));
    return {
      code: map(code, (a, i) => a * active[i]),
      kl: map(kl, (cost, i) => cost * active[i] + support(i)),
    };
  }

  /* The log-variances of a code: a log-linear model adds up its atoms; that of an SDM-VAE goes
     through its dictionary first. */
  function decode(model, code) {
    if (isLogLinear(model)) return linear(code, model.dictionary, model.bias);
    const z = model.dictionary ? linear(code, model.dictionary) : code;
    return layer(model, "decoder_log_variance", map(layer(model, "decoder_hidden", z), Math.tanh));
  }

  /* A code with the `count` numbers of each row that cost most, of equals the first; others 0. */
  function keepDearest(code, kl, count) {
    const kept = matrix(code.rows, code.cols);
    for (let start = 0; start < code.data.length; start += code.cols) {
      Array.from({ length: code.cols }, (_, i) => start + i)
        .sort((a, b) => kl.data[b] - kl.data[a])
        .slice(0, count)
        .forEach((at) => (kept.data[at] = code.data[at]));
    }
    return kept;
  }

  /* A code as long as another: its rows repeated or left out, evenly. */
  function stretch(code, rows) {
    const result = matrix(rows, code.cols);
    for (let row = 0; row < rows; row++) {
      const from = Math.floor((row * code.rows) / rows) * code.cols;
      result.data.set(code.data.subarray(from, from + code.cols), row * code.cols);
    }
    return result;
  }

  return {
    analyse, decode, encode, fromBase64, half, infer, isLogLinear, keepDearest, layer, linear, matrix,
    readModel, stretch, synthesise,
  };
};
const numerics = makeNumerics();

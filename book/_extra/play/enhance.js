/* Speech out of noise, as the package's `enhance` finds it by its method `fast`: an EM algorithm
   with a VAE as the prior of clean speech. The text of `makeEnhancement` also runs in a worker, so
   that it uses what it is handed and nothing else.
   A mixture is {patterns W, activity H, gains g, floor}: the noise has the variances H W' + floor,
   and a frame's speech those that its code is decoded to, times its gain. */
const makeEnhancement = (numerics) => {
  "use strict";

  const FAST = { iterations: 30, burn: 1, keep: 1, last: { burn: 10, keep: 30 } };
  const RANK = 8; // of the noise
  const QUIET = 0.2; // share of the frames, in each bin, that noise alone is taken to fill at first
  const FLOOR = 1e-10; // as a share of the mean power
  const TINY = 1e-30; // below any sum of powers that is divided by
  const LEAST_GAIN = 0.05; // of the pass that the first code is encoded of
  const ACCEPTED = 0.57; // share of the proposals of a Langevin walk
  const ADAPT = 0.2; // how fast its steps follow

  const { matrix, linear } = numerics;
  const map = (x, change) => ({ ...x, data: x.data.map(change) });

  function transposed({ rows, cols, data }) {
    const result = matrix(cols, rows);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) result.data[j * rows + i] = data[i * cols + j];
    }
    return result;
  }

  /* ---- The mixture. ---- */

  const noiseOf = ({ patterns, activity, floor }) => map(linear(activity, patterns), (v) => v + floor);

  /* The value below which a share of the sorted values lies, between two of them if need be. */
  function quantile(sorted, share) {
    const place = share * (sorted.length - 1);
    const [below, above] = [Math.floor(place), Math.ceil(place)].map((i) => sorted[i]);
    return below + (place % 1) * (above - below);
  }

  /* Noise as steady as the quietest frames of each bin; each pattern has a jitter of its own. */
  function firstGuess(power, random, rank = RANK) {
    const { rows, cols } = power;
    const floor = (FLOOR * power.data.reduce((a, b) => a + b, 0)) / power.data.length + TINY;
    const over = transposed(power).data;
    const steady = Array.from({ length: cols }, (_, bin) => {
      const sorted = over.slice(bin * rows, (bin + 1) * rows).sort();
      return quantile(sorted, QUIET) / -Math.log1p(-QUIET) + floor;
    });
    const patterns = map(matrix(rank, cols), (_, i) => steady[i % cols] * (0.5 + random.uniform()));
    const activity = map(matrix(rows, rank), () => 1 / rank);
    return unitSums({ patterns: transposed(patterns), activity, gains: new Float64Array(rows).fill(1), floor });
  }

  /* The same noise, its patterns brought to unit sum. */
  function unitSums({ patterns, activity, ...rest }) {
    const sums = new Float64Array(patterns.cols).fill(TINY);
    patterns.data.forEach((value, i) => (sums[i % sums.length] += value));
    return {
      patterns: map(patterns, (value, i) => value / sums[i % sums.length]),
      activity: map(activity, (value, i) => value * sums[i % sums.length]),
      ...rest,
    };
  }

  /* The mixture with W, H and g updated in turn, each so that Q of the one sample cannot rise. */
  function mStep(power, speech, { patterns, activity, gains, floor }) {
    const { cols } = power;
    const variance = () => {
      const noise = linear(activity, patterns);
      return map(speech, (s, i) => gains[Math.floor(i / cols)] * s + noise.data[i] + floor);
    };
    const updated = (old, above, below) =>
      map(old, (value, i) => value * Math.sqrt(above.data[i] / Math.max(below.data[i], TINY)));
    const inverses = () => {
      const once = map(variance(), (v) => 1 / v);
      return [once, map(once, (u, i) => power.data[i] * u * u)];
    };
    let [once, twice] = inverses().map(transposed);
    const by = transposed(activity);
    patterns = updated(patterns, linear(twice, by), linear(once, by));

    [once, twice] = inverses();
    const across = transposed(patterns);
    activity = updated(activity, linear(twice, across), linear(once, across));

    const total = variance().data;
    gains = gains.map((gain, frame) => {
      let [above, below] = [0, 0];
      for (let i = frame * cols; i < (frame + 1) * cols; i++) {
        const share = speech.data[i] / total[i];
        above += (share * power.data[i]) / total[i];
        below += share;
      }
      return gain * Math.sqrt(above / Math.max(below, TINY));
    });
    return unitSums({ patterns, activity, gains, floor });
  }

  /* What is speech of each of the mixture's powers, as a share of its amplitude. */
  function wienerGain(speech, mixture) {
    const noise = noiseOf(mixture).data;
    return map(speech, (s, i) => {
      const scaled = mixture.gains[Math.floor(i / speech.cols)] * s;
      return scaled / (scaled + noise[i]);
    });
  }

  /* ---- Codes. ---- */

  /* The log-density of codes given the mixture, but for a constant; its slope; and the variances
     of speech that were decoded on the way. */
  function posterior(model, power, mixture) {
    const noise = noiseOf(mixture).data;
    const { cols } = power;
    const back = ["decoder_log_variance", "decoder_hidden"].map((name) => transposed(model[`${name}.weight`]));
    return (code) => {
      const hidden = map(numerics.layer(model, "decoder_hidden", code), Math.tanh);
      const speech = map(numerics.layer(model, "decoder_log_variance", hidden), Math.exp);
      const value = new Float64Array(code.rows);
      const uphill = matrix(code.rows, cols);
      for (let row = 0, i = 0; row < code.rows; row++) {
        const gain = mixture.gains[row];
        let sum = 0;
        for (const end = i + cols; i < end; i++) {
          const total = gain * speech.data[i] + noise[i];
          const ratio = power.data[i] / total;
          sum -= Math.log(total) + ratio;
          uphill.data[i] = ((ratio - 1) * gain * speech.data[i]) / total;
        }
        for (let j = row * code.cols; j < (row + 1) * code.cols; j++) sum -= 0.5 * code.data[j] ** 2;
        value[row] = sum;
      }
      const inner = linear(uphill, back[0]);
      const outer = linear(map(inner, (d, i) => d * (1 - hidden.data[i] ** 2)), back[1]);
      return { code, value, speech, slope: map(outer, (d, j) => d - code.data[j]) };
    };
  }

  /* A Langevin step from where the chains stand, each frame's accepted or not; while `adapts`, the
     steps of the frames follow what is accepted. */
  function langevin(density, chains, scale, random, adapts) {
    const { code, value, slope, steps } = chains;
    const { rows, cols } = code;
    const spread = map(scale, (s, j) => s * steps[Math.floor(j / cols)]);
    const noise = map(code, random.normal);
    const proposal = density(
      map(code, (z, j) => z + 0.5 * spread.data[j] ** 2 * slope.data[j] + spread.data[j] * noise.data[j]),
    );
    const ratios = value.map((old, row) => {
      let ratio = proposal.value[row] - old;
      for (let j = row * cols; j < (row + 1) * cols; j++) {
        const back = noise.data[j] + 0.5 * spread.data[j] * (slope.data[j] + proposal.slope.data[j]);
        ratio += 0.5 * (noise.data[j] ** 2 - back ** 2);
      }
      return ratio;
    });
    const accepted = Array.from(ratios, (ratio) => Math.log(random.uniform()) < ratio);
    const chance = (row) => Math.exp(Math.min(ratios[row], 0));
    return {
      ...choose(accepted, proposal, chains),
      steps: adapts ? steps.map((step, row) => step * Math.exp(ADAPT * (chance(row) - ACCEPTED))) : steps,
    };
  }

  /* Of two states of the chains the rows of the first where it is accepted, else of the second. */
  function choose(accepted, first, second) {
    const result = { value: first.value.map((value, row) => (accepted[row] ? value : second.value[row])) };
    for (const name of ["code", "slope", "speech"]) {
      const { rows, cols, data } = first[name];
      const chosen = { rows, cols, data: data.slice() };
      for (let row = 0; row < rows; row++) {
        const part = second[name].data.subarray(row * cols, (row + 1) * cols);
        if (!accepted[row]) chosen.data.set(part, row * cols);
      }
      result[name] = chosen;
    }
    return result;
  }

  /* ---- EM. ---- */

  /* What stands after each iteration, {mixture, chains, gain}, and after a last, longer E-step. */
  function* em(model, power, random, plan = FAST) {
    let mixture = firstGuess(power, random);
    const noise = noiseOf(mixture).data;
    const first = map(power, (p, i) => p * Math.max(1 - noise[i] / Math.max(p, mixture.floor), LEAST_GAIN) ** 2);
    const { mu, logvar } = numerics.infer(model, first);
    const scale = map(logvar, (v) => Math.exp(0.5 * v));
    let chains = { code: mu, steps: new Float64Array(mu.rows).fill(0.5) };
    for (let number = 0; number <= plan.iterations; number++) {
      const isLast = number === plan.iterations;
      const { burn, keep } = isLast ? plan.last : plan;
      const density = posterior(model, power, mixture);
      chains = { ...chains, ...density(chains.code) };
      for (let i = 0; i < burn; i++) chains = langevin(density, chains, scale, random, true);
      const gain = matrix(power.rows, power.cols);
      for (let i = 0; i < keep; i++) {
        chains = langevin(density, chains, scale, random, false);
        if (isLast) wienerGain(chains.speech, mixture).data.forEach((g, j) => (gain.data[j] += g / keep));
      }
      if (!isLast) mixture = mStep(power, chains.speech, mixture);
      yield { mixture, chains, gain };
    }
  }

  /* The speech of a waveform and what is left of it, {speech, noise}; `tell` is called with the
     share of the work that is done. */
  function enhance(model, waveform, random, tell) {
    const peak = waveform.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    const analysis = numerics.analyse(waveform.map((v) => v / peak), model.window, model.hop);
    let [done, last] = [0, null];
    for (last of em(model, analysis.power, random)) tell(++done / (FAST.iterations + 1));
    const { power } = analysis;
    const logPower = map(power, (p, i) => Math.log(p * last.gain.data[i] ** 2));
    const speech = numerics.synthesise(logPower, analysis).map((value) => value * peak);
    return { speech, noise: waveform.map((value, i) => value - speech[i]) };
  }

  return { em, enhance, firstGuess, langevin, mStep, posterior, wienerGain };
};

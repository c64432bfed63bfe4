/* Noise for a voice, the same for the same seed, and how much of a sound is the voice.
   The text of `makeNoises` also runs in a worker: it uses what it is handed and nothing else. */
const makeNoises = (numerics) => {
  "use strict";

  const RATE = 16000;
  const LOWEST = 20; // Hz, below which pink noise is white
  const HARMONICS = 11; // of a hum
  const BELOW = 0.1; // the noise below a hum: 20 dB less

  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const energy = (samples) => sum(samples.map((value) => value * value));
  const dot = (one, other) => sum(one.map((value, i) => value * other[i]));

  /* Numbers between 0 and 1 and Gaussian ones (mulberry32, Box and Muller). */
  function makeRandom(seed) {
    let state = seed;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    return { normal, uniform };
  }

  const white = (length, { normal }) => Float64Array.from({ length }, normal);

  /* Gaussian noise of a power spectrum, which is given by its bins. */
  function coloured(length, spectrum, random) {
    const analysis = numerics.analyse(white(length, random));
    const { rows, cols, data } = analysis.power;
    const logPower = data.map((power, i) => Math.log(power * spectrum[i % cols]));
    return numerics.synthesise({ rows, cols, data: logPower }, analysis);
  }

  function pink(length, random) {
    const bins = numerics.analyse([]).power.cols;
    const hertz = (bin) => (bin * RATE) / 2 / (bins - 1);
    return coloured(length, Array.from({ length: bins }, (_, bin) => 1 / Math.max(hertz(bin), LOWEST)), random);
  }

  function shapedAs(voice, random) {
    const { cols, data } = numerics.analyse(voice).power;
    const total = new Float64Array(cols);
    data.forEach((power, i) => (total[i % cols] += power));
    return coloured(voice.length, total, random);
  }

  function hum(length, random) {
    const { uniform } = random;
    const hertz = 45 + 20 * uniform();
    const tones = Array.from({ length: HARMONICS }, (_, i) => ({
      pace: (2 * Math.PI * hertz * (i + 1)) / RATE,
      level: 0.1 + 0.9 * uniform(),
      phase: 2 * Math.PI * uniform(),
    }));
    const at = (time) => sum(tones.map(({ pace, level, phase }) => level * Math.sin(pace * time + phase)));
    const floor = BELOW * Math.sqrt(sum(tones.map(({ level }) => level ** 2 / 2)));
    return white(length, random).map((value, time) => floor * value + at(time));
  }

  /* Noise as long as a voice. `other` is the voice of another, which goes round. */
  function make(kind, voice, other, random) {
    const { length } = voice;
    if (kind === "white") return white(length, random);
    if (kind === "pink") return pink(length, random);
    if (kind === "hum") return hum(length, random);
    if (kind === "shaped") return shapedAs(voice, random);
    return Float64Array.from({ length }, (_, i) => other[i % other.length]);
  }

  /* A voice plus noise at a ratio in decibels: of the powers over the whole length. */
  function mix(voice, noise, snr) {
    const level = Math.sqrt(energy(voice) / energy(noise)) * 10 ** (-snr / 20);
    return voice.map((value, i) => value + level * noise[i]);
  }

  /* The scale-invariant ratio of what is the voice in a sound to all else in it, in decibels. */
  function siSdr(voice, sound) {
    const scale = dot(voice, sound) / energy(voice);
    const rest = sound.map((value, i) => value - scale * voice[i]);
    return 10 * Math.log10((scale ** 2 * energy(voice)) / energy(rest));
  }

  return { make, makeRandom, mix, siSdr };
};

/* From the listener's settings to what they sound and look like. */
const rendering = (() => {
  "use strict";

  const { levels, partner, toFragment } = choices;

  /* A sound through a model, unedited: its analysis, code, spectrum and samples; and how large the
     numbers of the code are, all of them and 99 in 100. */
  function through(source, name, model) {
    source.through[name] ??= (() => {
      const analysis = numerics.analyse(source.samples, model.window, model.hop);
      const { code, kl } = numerics.encode(model, analysis.power);
      const sizes = code.data.map(Math.abs).sort();
      const [usual, largest] = [0.99, 1].map((part) => sizes[Math.round(part * (sizes.length - 1))] || 1);
      const spectrum = numerics.decode(model, code);
      const samples = sound.unclipped(numerics.synthesise(spectrum, analysis));
      return { analysis, code, kl, usual, largest, spectrum, samples };
    })();
    return source.through[name];
  }

  /* The code of `wanted`: of the sound or its partner, its dearest numbers, shifted, times their
     levels. */
  function editedCode(wanted, { code: { rows, cols } }, from) {
    let code = numerics.stretch(from.code, rows);
    if (wanted.keep !== null && wanted.keep < cols) {
      code = numerics.keepDearest(code, numerics.stretch(from.kl, rows), wanted.keep);
    }
    const shift = levels(wanted.shifts[wanted.model] ?? [], code, 0);
    const grid = levels(wanted.edits[wanted.model] ?? [], code, 1);
    const data = code.data.map((value, i) => (value + shift.data[i]) * grid.data[i]);
    return { code: { ...code, data }, grid, shift };
  }

  /* What the settings sound and look like. */
  async function render(wanted) {
    const [source, other, model] = await Promise.all([
      library.find(wanted.sound),
      library.find(partner(wanted)),
      library.model(wanted.model),
    ]);
    const own = through(source, wanted.model, model);
    const edit = editedCode(wanted, own, through(other, wanted.model, model));
    const { code } = edit;
    const edited = code.data.some((value, i) => value !== own.code.data[i]);
    const original = wanted.voice === "original";
    const spectrum = edited ? numerics.decode(model, code) : own.spectrum;
    let samples = original ? source.samples : own.samples;
    if (edited && !original) samples = sound.unclipped(numerics.synthesise(spectrum, own.analysis));
    const fragment = toFragment(wanted);
    return { ...edit, own, model, edited, original, spectrum, samples, fragment };
  }

  return { render };
})();

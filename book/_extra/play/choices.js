/* What the listener has set, and how the address of the page holds it. An edit of a code is
   [first row, last row, from instant, to instant, level]: its numbers there, times the level. A
   shift has an amount for the level: it is added to the numbers first. */
const choices = ((list) => {
  "use strict";

  const { models, sentences, first } = list;
  const END = 99999; // an instant after every other: the whole length of a row
  const MOST = 4; // the highest level
  const FURTHEST = 2; // the largest shift, either way

  const untouched = () => ({
    sound: sentences[0].name,
    voice: "original", // or a model
    model: first, // whose code is shown
    keep: null, // how many numbers an instant; null is all
    swap: "", // two sounds, as "one two"
    edits: {}, // by model
    shifts: {}, // by model
  });

  const ADDED = "add."; // before the name of a model

  function toFragment({ sound, voice, model, keep, swap, edits, shifts }) {
    const said = new URLSearchParams({ sound, voice, model });
    if (keep !== null) said.set("keep", keep);
    if (swap) said.set("swap", swap);
    for (const [before, lists] of [["", edits], [ADDED, shifts]]) {
      for (const [name, list] of Object.entries(lists)) {
        if (list.length) said.set(before + name, list.map((edit) => edit.join("_")).join("*"));
      }
    }
    return said.toString();
  }

  /* What a fragment says, where `sounds` are known; what it does not say, or says wrongly, is
     untouched. */
  function fromFragment(fragment, sounds) {
    const said = new URLSearchParams(fragment);
    const result = untouched();
    const known = (list, name) => list.some((each) => each.name === name);
    if (known(sounds, said.get("sound"))) result.sound = said.get("sound");
    if (known(models, said.get("model"))) result.model = said.get("model");
    if (known(models, said.get("voice"))) result.model = result.voice = said.get("voice");
    if (/^\d+$/.test(said.get("keep"))) result.keep = Number(said.get("keep"));
    const pair = (said.get("swap") ?? "").split(" ");
    if (pair.length === 2 && pair.every((name) => known(sounds, name))) result.swap = pair.join(" ");
    for (const { name } of models) {
      result.edits[name] = readEdits(said.get(name) ?? "", 0, MOST);
      result.shifts[name] = readEdits(said.get(ADDED + name) ?? "", -FURTHEST, FURTHEST);
    }
    return result;
  }

  const readEdits = (text, least, most) =>
    text
      .split("*")
      .map((edit) => edit.split("_").map(Number))
      .filter((edit) => isEdit(edit, least, most));

  const isEdit = ([first, last, from, to, level, ...more], least, most) =>
    [first, last, from, to].every((n) => Number.isInteger(n) && n >= 0 && n <= END) &&
    first <= last && from <= to && level >= least && level <= most && !more.length;

  /* The edits with one more; those that it covers are left out. `none` is a level, or a shift,
     that changes nothing. */
  function addEdit(edits, [first, last, from, to], level, none) {
    const covered = ([a, b, c, d]) => first <= a && b <= last && from <= c && d <= to;
    const rest = edits.filter((edit) => !covered(edit));
    return level === none && !rest.length ? [] : [...rest, [first, last, from, to, level]];
  }

  /* The level of each number of a code, or its shift. */
  function levels(edits, { rows, cols }, none) {
    const grid = numerics.matrix(rows, cols);
    grid.data.fill(none);
    for (const [first, last, from, to, level] of edits) {
      for (let row = from; row <= Math.min(to, rows - 1); row++) {
        grid.data.fill(level, row * cols + first, row * cols + Math.min(last, cols - 1) + 1);
      }
    }
    return grid;
  }

  /* The sound whose code a sound is given: its own, unless two are swapped. */
  function partner({ swap, sound }) {
    const [one, other] = swap.split(" ");
    return sound === one ? other : sound === other ? one : sound;
  }

  return { END, FURTHEST, MOST, addEdit, fromFragment, levels, partner, toFragment, untouched };
})(playList);

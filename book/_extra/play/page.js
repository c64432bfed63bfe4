/* The page: what hears, shows and changes the listener's choices. */
(() => {
  "use strict";

  const { END, FURTHEST, MOST, addEdit, partner, toFragment } = choices;
  const { models, sentences } = playList;
  const { sounds } = library;
  const $ = (name) => document.getElementById(`play-${name}`);
  const DECIBELS = 10 / Math.LN10; // a unit of log-variance
  const fromFragment = (fragment) => choices.fromFragment(fragment, sounds());

  let settings = fromFragment(location.hash.slice(1));
  const past = [];
  let gesture = null; // the slider that is being moved: one step of Undo

  const edits = () => settings.edits[settings.model] ?? [];
  const shifts = () => settings.shifts[settings.model] ?? [];

  /* Change the settings, remember what they were, and let the result be heard. */
  function change(alter, { by = null, listen = true } = {}) {
    if (listen) player.wake();
    if (!by || by !== gesture) past.push(toFragment(settings));
    gesture = by;
    alter(settings);
    return show(listen);
  }

  function undo() {
    if (!past.length) return;
    gesture = null;
    settings = fromFragment(past.pop());
    show();
  }

  /* ---- What is shown. ---- */

  const player = sound.makePlayer(tellPlaying);
  const heads = document.querySelectorAll("#play .playhead");
  const told = { button: $("button"), position: $("position"), time: $("time"), heads };
  const transport = makeTransport(player, told, tellBars);
  let shown = null; // the last result of `render`
  let turn = 0;
  let writing = 0; // the address is written when the settings have come to rest
  let tool = "mute";
  let selected = [0, 0, 0, END]; // rows and instants

  function say(text, isError = false) {
    $("said").textContent = text;
    $("said").classList.toggle("play-error", isError);
  }

  /* Let the settings be heard and seen; where that fails, go back to those that are. */
  async function show(listen = false) {
    const mine = ++turn;
    tellSettings();
    try {
      const result = await rendering.render(settings);
      if (mine !== turn) return;
      shown = result;
      player.load(shown.samples);
      if (listen) player.play();
      drawAll();
      say(describe());
    } catch (error) {
      if (mine !== turn) return;
      say(error.message, true);
      if (shown) settings = fromFragment(shown.fragment);
      tellSettings();
    }
    tellPlaying();
  }

  const address = () => `${location.href.split("#")[0]}#${toFragment(settings)}`;

  function drawAll() {
    const { own, code, edited, spectrum, original } = shown;
    const power = own.analysis.power.data;
    const heard = original ? power.map((p) => Math.log(p + 1e-12)) : spectrum.data;
    const scaled = (data) => ({ ...spectrum, data: data.map((value) => DECIBELS * value) });
    const top = 10 * Math.log10(power.reduce((a, b) => Math.max(a, b)));
    pictures.spectrogram($("spectrogram"), scaled(heard), top);
    pictures.code($("code").querySelector("canvas"), code, own.largest);
    $("change").hidden = !edited || original;
    if (!$("change").hidden) {
      const apart = scaled(spectrum.data.map((value, i) => value - own.spectrum.data[i]));
      const most = apart.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const canvas = $("change").querySelector("canvas");
      pictures.change(canvas, apart);
      $("change-said").textContent =
        `Orange is louder than before, blue is quieter; at most by ${most.toFixed(0)} dB.`;
      canvas.setAttribute("aria-label", $("change-said").textContent);
    }
    $("spectrogram").setAttribute("aria-label", `Spectrogram of ${labelOf(settings.voice)}`);
    tellSelection();
  }

  const labelOf = (name) =>
    [...models, ...sounds()].find((each) => each.name === name)?.label ?? "Original";

  /* One sentence that says what is heard. */
  function describe() {
    const { code, grid, shift, model, original } = shown;
    const used = model.config.nonzero ?? code.cols; // an instant
    if (original) return "The original, without a model.";
    const silent = range(code.cols).filter((row) => isMuted(grid, row)).length;
    const parts = [];
    if (partner(settings) !== settings.sound) parts.push("with the code of another sound");
    if (settings.keep !== null) parts.push(`from ${Math.min(settings.keep, used)} of ${code.cols} numbers an instant`);
    if (silent) parts.push(`${silent} of ${code.cols} rows muted`);
    const moved = range(code.cols).filter((row) => range(code.rows).some((i) => shift.data[i * code.cols + row]));
    if (moved.length) parts.push(`${moved.length} of ${code.cols} atoms moved`);
    if (edits().length && !silent) parts.push("with parts of its code changed");
    const all = used < code.cols ? `${used} of ${code.cols}` : `all ${code.cols}`;
    const tail = parts.length ? `, ${parts.join(", ")}` : `, from ${all} numbers an instant`;
    return `${labelOf(settings.model)}${tail}.`;
  }

  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const isMuted = ({ rows, cols, data }, row) => range(rows).every((i) => data[i * cols + row] === 0);

  /* Every control says what the settings are. */
  function tellSettings() {
    clearTimeout(writing);
    writing = setTimeout(() => history.replaceState(null, "", address()), 200);
    options("sounds", sounds(), settings.sound);
    for (const input of $("voices").querySelectorAll("input")) input.checked = input.value === settings.voice;
    const cols = shown?.code.cols ?? 32;
    $("keep").max = cols;
    $("keep").value = settings.keep ?? cols;
    $("kept").textContent = `${Math.min(settings.keep ?? cols, cols)} of ${cols}`;
    $("code-said").textContent =
      `${labelOf(settings.model)}: each row is one of its numbers over time, row 1 at the bottom; bright is large.`;
    const others = sounds().filter(({ name }) => name !== settings.sound);
    const swapped = partner(settings) === settings.sound ? "" : partner(settings);
    options("swap", [{ name: "", label: "no other sentence" }, ...others], swapped);
    $("undo").disabled = !past.length;
  }

  function options(id, list, value) {
    $(id).replaceChildren(...list.map(({ name, label }) => new Option(label, name)));
    $(id).value = value;
  }

  function tellPlaying() {
    $("button").disabled = !player.seconds();
    transport.tellPlaying();
  }

  /* ---- Touching the code. ---- */

  const seconds = (instant) => (instant * shown.own.analysis.hop) / sound.RATE;
  const instants = () => shown.code.rows;

  function tellSelection() {
    const [first, last, from, to] = selected;
    const { cols, rows } = shown.code;
    const until = Math.min(to, rows - 1) + 1;
    Object.assign($("box").style, {
      left: `${(100 * from) / rows}%`,
      width: `${(100 * (until - from)) / rows}%`,
      bottom: `${(100 * first) / cols}%`,
      height: `${(100 * (last - first + 1)) / cols}%`,
    });
    for (const name of ["first", "last"]) $(name).max = cols;
    const fields = { first: first + 1, last: last + 1, from: seconds(from).toFixed(2), to: seconds(until).toFixed(2) };
    for (const [name, value] of Object.entries(fields)) $(name).value = value;
    const level = shown.grid.data[from * cols + first];
    for (const name of ["level", "level-number"]) $(name).value = level;
    tellAtom();
  }

  function select(part) {
    selected = part;
    tellSelection();
  }

  const set = (part, level, by) =>
    change((now) => {
      now.edits[now.model] = addEdit(edits(), part, level, 1);
      now.voice = now.model;
    }, { by });

  const move = (part, shift, by) =>
    change((now) => {
      now.shifts[now.model] = addEdit(shifts(), part, shift, 0);
      now.voice = now.model;
    }, { by });

  const sayCell = ({ row, instant }) => say(`Row ${row + 1}, ${seconds(instant).toFixed(2)} seconds`);

  /* Do what a touch does to a part of the code; a second touch takes muting back. */
  function touch(part) {
    select(part);
    const [first, last, , to] = part;
    if (tool === "solo") return solo(part);
    const isWholeRow = first === last && to === END;
    const again = tool === "mute" && isWholeRow && isMuted(shown.grid, first);
    return set(part, again ? 1 : { mute: 0, double: 2, restore: 1 }[tool]);
  }

  function solo(part) {
    const all = [0, shown.code.cols - 1, 0, END];
    const alone = [[...all, 0], [...part, 1]];
    const again = String(edits()) === String(alone);
    return change((now) => {
      now.edits[now.model] = again ? [] : alone;
      now.voice = now.model;
    });
  }

  /* ---- Atoms, where the model has some: the one chosen is the first row selected. ---- */

  const whole = (row) => [row, row, 0, END];

  function tellAtom() {
    const { model, grid, shift } = shown;
    $("atoms").hidden = !numerics.isLogLinear(model);
    if ($("atoms").hidden) return;
    const [row, , from] = selected;
    const at = from * grid.cols + row;
    panel.tellAtom(model.dictionary, row, grid.data[at], shift.data[at]);
    tellBars();
  }

  function tellBars() {
    if (!shown || $("atoms").hidden) return;
    const { code: { rows, cols, data }, own } = shown;
    const instant = Math.min(rows - 1, Math.floor((player.position() * sound.RATE) / own.analysis.hop));
    panel.tellBars(data.subarray(instant * cols, (instant + 1) * cols), own.usual, selected[0]);
  }

  /* The sentence with the chosen atom at a level; at the level 1 as it is, without a shift. */
  const hear = (level) =>
    change((now) => {
      selected = whole(selected[0]);
      now.edits[now.model] = addEdit(edits(), selected, level, 1);
      if (level === 1) now.shifts[now.model] = addEdit(shifts(), selected, 0, 0);
      now.voice = now.model;
    });

  const panel = atoms.makePanel({
    choose: (row) => select(whole(row)),
    move: (shift, by) => move(selected, shift, by),
    hear,
    furthest: FURTHEST,
  });

  /* A sound of the listener's own takes the place of the one before. */
  async function takeOwn(name) {
    await change((now) => Object.assign(now, { sound: name, swap: "" }), { listen: false });
    past.length = 0; // where the sound that was there before is gone
    tellSettings();
  }

  /* ---- Controls. ---- */

  function offerVoices() {
    for (const { name, label } of [{ name: "original", label: "Original" }, ...models]) {
      const [outer, input, text] = ["label", "input", "span"].map((tag) => document.createElement(tag));
      Object.assign(input, { type: "radio", name: "play-voice", value: name, onchange: () => chooseVoice(name) });
      text.textContent = label;
      outer.append(input, text);
      $("voices").append(outer);
    }
  }

  const chooseVoice = (name) =>
    change((now) => {
      now.voice = name;
      if (name !== "original") now.model = name;
    }, { listen: player.playing() });

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(sound.wav(shown.samples));
    link.download = `${settings.voice}.wav`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    say(`Saved as ${link.download}.`);
  }

  async function copyLink() {
    try {
      await navigator.clipboard.writeText(address());
      const without = library.isYours(settings.sound);
      say(`Link copied: it opens this page with these settings${without ? ", without your recording" : ""}.`);
    } catch {
      say("The link could not be copied here. Copy the address of this page instead.", true);
    }
  }

  function readFields() {
    const [first, last, from, to] = ["first", "last", "from", "to"].map((name) => Number($(name).value));
    const instant = (s) => Math.round((s * sound.RATE) / shown.own.analysis.hop);
    const row = (n) => Math.max(0, Math.min(shown.code.cols, Math.round(n)) - 1);
    const start = Math.max(0, Math.min(instants() - 1, instant(from)));
    const stop = instant(to) >= instants() ? END : Math.max(start, instant(to) - 1);
    select([row(first), Math.max(row(first), row(last)), start, stop]);
  }

  function listenToControls() {
    $("sounds").onchange = () =>
      change((now) => (now.sound = $("sounds").value), { listen: player.playing() });
    $("button").onclick = () => {
      if (player.playing()) player.pause();
      else player.play();
    };
    const seek = (to) => {
      player.seek(to);
      transport.tellPosition();
    };
    $("position").oninput = () => seek(Number($("position").value));
    $("spectrogram").onclick = (event) =>
      seek((player.seconds() * event.offsetX) / $("spectrogram").clientWidth);
    $("keep").oninput = () =>
      change((now) => {
        now.keep = Number($("keep").value) < shown.code.cols ? Number($("keep").value) : null;
        now.voice = now.model;
      }, { by: $("keep") });
    const level = (name) => Math.max(0, Math.min(MOST, Number($(name).value)));
    $("level").oninput = () => set(selected, level("level"), $("level"));
    $("level-number").onchange = () => set(selected, level("level-number"));
    for (const name of ["first", "last", "from", "to"]) $(name).onchange = readFields;
    for (const input of $("tools").querySelectorAll("input")) input.onchange = () => (tool = input.value);
    for (const name of ["keep", "level", "shift"]) $(name).onchange = () => (gesture = null);
    $("swap").onchange = () =>
      change((now) => {
        now.swap = $("swap").value && `${now.sound} ${$("swap").value}`;
        now.voice = now.model;
      });
    $("undo").onclick = undo;
    $("reset").onclick = () =>
      change((now) => Object.assign(now, { keep: null, swap: "", edits: {}, shifts: {} }), { listen: player.playing() });
    $("save").onclick = save;
    $("link").onclick = copyLink;
    touching.listen($("code"), { size: () => shown?.code, select, touch, say: sayCell });
  }

  function listenToPage(whole) {
    whole.onkeydown = (event) => {
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.type === "number") return;
      event.preventDefault();
      undo();
    };
    bringing.listen(whole, { take: takeOwn, say, hush: player.pause });
    window.onhashchange = () =>
      change((now) => Object.assign(now, fromFragment(location.hash.slice(1))), { listen: false });
  }

  function offerTries() {
    const labelled = (label) => models.find((model) => model.label === label);
    const [one, other, third] = ["VAE", "SDM-VAE", "Dictionary"].map(labelled);
    const few = ({ name, label }) => [`The ${label} from 8 numbers`, { voice: name, model: name, keep: 8 }];
    const swap = sentences.slice(0, 2).map(({ name }) => name).join(" ");
    const swapped = ["One sentence with another's code", { voice: other.name, model: other.name, swap }];
    for (const [textContent, wanted] of [few(one), few(other), few(third), swapped]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent });
      button.onclick = () => change((now) => Object.assign(now, choices.untouched(), wanted));
      $("tries").append(button);
    }
  }

  function start() {
    $("still").classList.add("play-paper");
    document.getElementById("play").hidden = false;
    offerVoices();
    offerTries();
    listenToControls();
    listenToPage(document.getElementById("play"));
    document.getElementById(location.hash.slice(1))?.focus(); // as a chapter's link asks
    show();
  }

  start();
})();

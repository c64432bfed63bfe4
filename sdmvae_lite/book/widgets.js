/* Sounds compared at the same instant, blind tests, and figures moved by sliders. One classic
   script without dependencies; `widgets.py` puts it into what a cell displays. What it finds is
   complete without it: plain players, and small multiples of a figure. */
"use strict";
(() => {
  if (customElements.get("sound-switch")) return; // another output of the page brought it

  const CLOSE = 0.02; // s: tracks so near to each other stand at the same instant
  const TICK = 40; // ms
  const ENOUGH = 3; // readings of where a track stands, since a single one is rough
  const PATIENCE = 40; // ticks that a track may take to come near
  const HUSHED = 1e-5; // inaudible, but not mute: a browser rests what is mute, and wakes it late

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const button = (text) => make("button", { type: "button" }, text);
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

  // ---- Every sound of the page
  let groups = 0; // of radio buttons
  const companions = new WeakMap(); // the tracks that a track runs side by side with

  /** Pause every other sound of the page, but for the companions of the one that starts. */
  function silenceOthers({ target }) {
    const together = companions.get(target) ?? [target];
    for (const audio of document.querySelectorAll("audio")) {
      if (!together.includes(audio)) audio.pause();
    }
  }

  /** Hold the whole of a sound whose server sends no parts, where it could not be moved. */
  async function holdWhole({ target }) {
    if (target.duration === 0 || target.seekable.end(0) > 0) return;
    const whole = await (await fetch(target.src)).blob();
    const playing = !target.paused;
    target.src = URL.createObjectURL(whole);
    if (playing) target.play();
  }

  // ---- Tracks side by side
  /** Let tracks run side by side, all but one hushed: choosing another goes on without a gap.
   *
   * A track that is chosen sounds as soon as it stands where the one heard stands; until then that
   * one goes on. Returns the bar of controls, and `choose(track)` and `stop()`. */
  function transport(tracks, seconds, complain) {
    const play = button("Play");
    const range = { type: "range", min: 0, max: seconds, step: 0.01, "aria-label": "Position" };
    const seek = make("input", range);
    const time = make("span", { class: "sound-time" });
    const readings = new Map(tracks.map((track) => [track, []])); // s ahead of the clock
    let [heard] = tracks; // sounds
    let wanted = heard; // is chosen
    let waited = 0; // ticks, for that one
    let timer = null;

    function show(at) {
      seek.value = at;
      seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
      time.textContent = `${at.toFixed(1)} / ${seconds.toFixed(1)} s`;
    }

    function read(track) {
      const ready = !track.seeking && track.readyState >= track.HAVE_FUTURE_DATA;
      const reading = track.currentTime - performance.now() / 1000;
      readings.set(track, ready ? [...readings.get(track), reading].slice(-ENOUGH) : []);
    }

    function send(track, at) {
      track.currentTime = at;
      readings.set(track, []);
    }

    /** Tell whether a track stands where `heard` stands; if not, it runs faster or slower. */
    function aligned(track) {
      const [its, those] = [track, heard].map((each) => readings.get(each));
      if (Math.min(its.length, those.length) < ENOUGH) return false;
      const apart = median(its) - median(those);
      const near = Math.abs(apart) <= CLOSE;
      if (Math.abs(apart) > 0.5) send(track, heard.currentTime);
      else track.playbackRate = near ? 1 : Math.min(2, Math.max(0.5, 1 - 4 * apart));
      return near;
    }

    function sound(track) {
      heard = track;
      heard.playbackRate = 1;
      waited = 0;
      for (const each of tracks) {
        each.volume = each === heard ? 1 : HUSHED;
        each.muted = each !== heard && each.volume === 1; // where pages may not set a volume
      }
    }

    function tick() {
      show(heard.currentTime);
      tracks.forEach(read);
      const ready = tracks.filter((track) => track !== heard && aligned(track));
      if (wanted !== heard && (ready.includes(wanted) || (waited += 1) > PATIENCE)) sound(wanted);
    }

    function start() {
      if (seek.valueAsNumber >= seconds - CLOSE) show(0);
      for (const track of tracks) {
        send(track, seek.valueAsNumber);
        track.play().catch(() => {}); // paused before it began: nothing is wrong
      }
      timer ??= setInterval(tick, TICK);
      play.textContent = "Pause";
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      tracks.forEach((track) => track.pause());
      play.textContent = "Play";
      choose(wanted);
    }

    function choose(track) {
      wanted = track;
      if (timer === null) sound(track);
      else tick();
    }

    function ended({ target }) {
      if (target !== heard || timer === null || !heard.paused) return;
      if (heard.ended) show(seconds);
      stop();
    }

    for (const track of tracks) {
      companions.set(track, tracks);
      track.addEventListener("pause", ended); // at its end, and where another sound begins
      track.addEventListener("error", () => complain("A sound could not be loaded."));
    }
    play.addEventListener("click", () => (timer === null ? start() : stop()));
    seek.addEventListener("input", () => {
      show(seek.valueAsNumber);
      for (const track of tracks) send(track, seek.valueAsNumber);
    });
    sound(heard);
    show(0);
    return { bar: make("div", { class: "sound-bar" }, play, seek, time), choose, stop };
  }

  /** One button for each name, of which one is chosen: the arrow keys move the choice. */
  function choices(sounds, choose) {
    const group = `sounds-${(groups += 1)}`;
    const labels = sounds.map(({ name }, index) => {
      const radio = make("input", { type: "radio", name: group });
      radio.checked = index === 0;
      radio.addEventListener("change", () => choose(index));
      return make("label", {}, radio, name);
    });
    const role = { class: "sound-choice", role: "radiogroup", "aria-label": "Sound" };
    return make("div", role, ...labels);
  }

  /** The players of an element, put out of sight, with the names of their captions. */
  function takePlayers(host) {
    return [...host.querySelectorAll("figure")].map((figure) => {
      figure.hidden = true;
      const [name, audio] = ["figcaption", "audio"].map((tag) => figure.querySelector(tag));
      return { name: name.textContent, audio };
    });
  }

  /** Give an element one panel for its sounds; returns its `stop()` and `say(text)`. */
  function addPanel(host, sounds, ...more) {
    const said = make("output", { class: "sound-said", "aria-live": "polite" });
    const say = (text) => (said.textContent = text);
    const tracks = sounds.map(({ audio }) => audio);
    const { bar, choose, stop } = transport(tracks, Number(host.dataset.seconds), say);
    const names = choices(sounds, (index) => choose(tracks[index]));
    host.append(make("div", { class: "sound-panel" }, names, bar, ...more, said));
    return { stop, say };
  }

  const bringSwitch = (host) => void addPanel(host, takePlayers(host));

  // ---- Blind A/B/X
  /** The chance of at least `right` heads in `asked` throws of a coin. */
  function byGuessing(right, asked) {
    let term = 0.5 ** asked;
    let tail = 0;
    for (let heads = asked; heads >= right; heads -= 1) {
      tail += term; // of `heads` heads
      term *= heads / (asked - heads + 1);
    }
    return tail;
  }

  function bringAbx(host) {
    const pair = takePlayers(host);
    pair.forEach((sound, index) => (sound.name = `${"AB"[index]}: ${sound.name}`));
    const x = make("audio", { preload: "none", hidden: "" });
    const press = ["X is A", "X is B", "Start again"].map(button);
    const answers = make("div", { class: "sound-bar" }, ...press);
    const three = [...pair, { audio: x, name: "X: one of the two" }];
    const { stop, say } = addPanel(host, three, answers);
    let truth, right, asked;

    function draw() {
      stop();
      truth = crypto.getRandomValues(new Uint8Array(1))[0] % 2;
      x.src = pair[truth].audio.src;
    }

    function answer(index) {
      right += index === truth;
      asked += 1;
      const verdict = `${index === truth ? "Right" : "Wrong"}, X was ${"AB"[truth]}.`;
      const chance = `with probability ${byGuessing(right, asked).toPrecision(2)}`;
      say(`${verdict} ${right} of ${asked} right; guessing does as well or better ${chance}.`);
      draw();
    }

    function reset() {
      right = asked = 0;
      say("Nothing answered yet.");
      draw();
    }

    const acts = [() => answer(0), () => answer(1), reset];
    press.forEach((one, index) => one.addEventListener("click", acts[index]));
    host.append(x);
    reset();
  }

  // ---- Figures with stops
  /** A range input over values, which are texts; `moved` is told each time. */
  function slider(name, values, place, moved) {
    const ends = { type: "range", min: 0, max: values.length - 1, value: place };
    const range = make("input", { ...ends, "aria-label": name });
    const output = make("output", { "aria-live": "off" }); // the slider itself says its value
    function say() {
      output.textContent = values[range.valueAsNumber];
      range.setAttribute("aria-valuetext", output.textContent);
    }
    range.addEventListener("input", () => (say(), moved()));
    say();
    return make("label", {}, make("span", { class: "name" }, name), range, output);
  }

  /** The stops that are one step of one slider away. */
  function neighbours(places) {
    const step = (index, by) => places.map((place, i) => place + (i === index ? by : 0)).join(" ");
    return [...places.keys()].flatMap((index) => [step(index, -1), step(index, 1)]);
  }

  function bringStops(host) {
    const found = [...host.querySelectorAll("[data-stop]")];
    const stops = new Map(found.map((stop) => [stop.dataset.stop, stop]));
    const shown = found.filter((stop) => stop.matches("img"));
    const picture = shown[0].cloneNode();
    const said = make("div", { class: "said-only", "aria-live": "polite" });
    const source = (stop) => stop.getAttribute("src") ?? stop.dataset.src;

    function move() {
      const places = sliders.map((label) => label.control.valueAsNumber);
      const stop = stops.get(places.join(" "));
      picture.src = source(stop);
      picture.alt = said.textContent = stop.alt ?? stop.dataset.alt;
      for (const next of neighbours(places)) {
        if (stops.has(next)) new Image().src = source(stops.get(next)); // to answer at once there
      }
    }

    const start = picture.dataset.stop.split(" ");
    const controls = Object.entries(JSON.parse(host.dataset.controls));
    const sliders = controls.map(([name, values], i) => slider(name, values, start[i], move));
    for (const image of shown) image.hidden = true;
    picture.className = "stop-moved";
    host.append(make("div", { class: "stop-panel" }, ...sliders), picture, said);
  }

  /** Define an element that is brought to life once all of it has been read. */
  function define(name, bring) {
    const once = (host) => (host.alive ||= (bring(host), true));
    class Alive extends HTMLElement {
      connectedCallback() {
        if (document.readyState !== "loading") once(this);
        else document.addEventListener("DOMContentLoaded", () => once(this));
      }
    }
    customElements.define(name, Alive);
  }

  document.addEventListener("play", silenceOthers, true);
  document.addEventListener("loadedmetadata", holdWhole, true);
  define("sound-switch", bringSwitch);
  define("sound-abx", bringAbx);
  define("figure-stops", bringStops);
})();

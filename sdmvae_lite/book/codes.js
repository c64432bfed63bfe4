/* A line over pictures of codes stands where their player stands, and moves it; below, the
   coefficients of that instant are bars. `instruments.py` puts this script beside what a cell
   displays; without it there are a player and pictures. */
"use strict";
(() => {
  if (customElements.get("code-view")) return; // another output of the page brought it

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const text = (value) => value.toFixed(2).replace("-", "−");

  /** The numbers of a picture, frame after frame, and its rows from below. */
  function readCode({ dataset: { name, code, step, most, rows } }) {
    const bytes = Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0));
    const whole = new DataView(bytes.buffer);
    const order = rows.split(" ").map(Number);
    const at = (index) => whole.getInt16(2 * index, true) * Number(step);
    const column = (frame) => order.map((row) => at(frame * order.length + row));
    const frames = bytes.length / 2 / order.length;
    return { name, order, column, frames, most: Number(most) };
  }

  /** What the bars of one instant say in words. */
  function describe({ order }, values) {
    const sizes = values.map(Math.abs);
    const ranks = [...sizes.keys()].sort((a, b) => sizes[b] - sizes[a]);
    const few = sizes.filter((size) => size >= 0.1 * sizes[ranks[0]]).length;
    const [one, two, three] = ranks.map((rank) => `${order[rank]} (${text(values[rank])})`);
    const named = `the largest are coefficients ${one}, ${two} and ${three}`;
    return `${few} of ${sizes.length} at least a tenth of the largest; ${named}`;
  }

  /** Bars for one code; returns what shows a frame, and tells it in words. */
  function addBars(host, code) {
    const said = make("p", {});
    const bars = make("div", { class: "bars", role: "img" });
    for (const row of code.order) bars.append(make("i", { title: `coefficient ${row}` }, make("b", {})));
    host.append(said, bars);
    return (frame) => {
      const values = code.column(frame);
      values.forEach((value, place) => {
        const height = Math.max(-1, Math.min(1, value / code.most)); // bright in the picture: 1
        bars.children[place].style.setProperty("--z", height.toFixed(4));
        bars.children[place].firstChild.textContent = text(value);
      });
      said.textContent = `${code.name}: ${describe(code, values)}`;
      bars.setAttribute("aria-label", `${code.name}, from ${values.map(text).join(", ")}`);
      return said.textContent;
    };
  }

  function bring(host) {
    const pictures = host.querySelector(".codes");
    const line = pictures.querySelector(".playhead");
    const sounds = [...host.querySelectorAll("audio")];
    const seek = host.querySelector("sound-switch input[type=range]");
    const codes = [...pictures.querySelectorAll("img[data-code]")].map(readCode);
    const now = make("div", { class: "code-now" });
    const shows = codes.map((code) => addBars(now, code));
    const [{ frames }] = codes;
    const seconds = Number(seek.max);
    let shown = -1; // frame

    const frameAt = () => Math.min(frames - 1, Math.floor((frames * seek.value) / seconds));

    function move() {
      line.style.left = `${(100 * seek.value) / seconds}%`;
      const frame = frameAt();
      if (frame === shown) return;
      shown = frame;
      const words = shows.map((show) => show(frame));
      line.setAttribute("aria-valuenow", frame);
      line.setAttribute("aria-valuetext", [`${Number(seek.value).toFixed(2)} s`, ...words].join(". "));
    }

    function follow() {
      host.dataset.used = "";
      move();
      if (sounds.some((sound) => !sound.paused)) requestAnimationFrame(follow);
    }

    function go(to) {
      seek.value = Math.min(seconds, Math.max(0, to));
      seek.dispatchEvent(new Event("input", { bubbles: true }));
    }

    function point({ clientX }) {
      const { left, width } = pictures.getBoundingClientRect();
      go((seconds * (clientX - left)) / width);
    }

    /** The middle of a frame, so that rounding leaves it the same frame. */
    const middle = (frame) => ((Math.min(frames - 1, Math.max(0, frame)) + 0.5) * seconds) / frames;

    function press(event) {
      const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
      const ends = { Home: 0, End: frames - 1 };
      const to = event.key in steps ? shown + steps[event.key] : ends[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      go(middle(to));
    }

    line.hidden = false;
    const slider = { role: "slider", tabindex: 0, "aria-label": "Instant of the codes" };
    const ends = { "aria-valuemin": 0, "aria-valuemax": frames - 1 };
    for (const [name, value] of Object.entries({ ...slider, ...ends })) line.setAttribute(name, value);
    line.addEventListener("keydown", press);
    pictures.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      pictures.setPointerCapture(event.pointerId);
      point(event);
    });
    pictures.addEventListener("pointermove", (event) => {
      if (pictures.hasPointerCapture(event.pointerId)) point(event);
    });
    host.addEventListener("play", follow, true); // media events do not bubble
    host.addEventListener("pause", move, true);
    host.addEventListener("input", follow);
    pictures.after(now);
    move();
  }

  class CodeView extends HTMLElement {
    connectedCallback() {
      const once = () => this.alive || ((this.alive = true), bring(this));
      const later = () => setTimeout(once); // after the player in it, which waits for the same
      if (document.readyState !== "loading") later();
      else document.addEventListener("DOMContentLoaded", later);
    }
  }
  customElements.define("code-view", CodeView);
})();

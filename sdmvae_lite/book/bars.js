/* Coefficients that a reader drags, and what measures of sparsity say of them. `instruments.py`
   puts this script beside what a cell displays; without it there are bars and their Hoyer. */
"use strict";
(() => {
  if (customElements.get("code-bars")) return; // another output of the page brought it

  const FINE = 60; // steps from zero to the top

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const short = (value) => (Math.abs(value) < 10 ? value.toFixed(2) : value.toPrecision(3));
  const text = (value) => String(Number(short(value))).replace("-", "−");

  /** What is said of a code; nothing of one that is zero, but for its Hoyer, by convention. */
  function measure(code) {
    const sizes = code.map(Math.abs);
    const largest = Math.max(...sizes);
    if (largest === 0) return { hoyer: 0, above: 0 };
    const scaled = sizes.map((size) => size / largest);
    const energy = sum(scaled.map((size) => size ** 2));
    const shares = scaled.map((size) => size ** 2 / energy).filter((share) => share > 0);
    const ratio = sum(scaled) / Math.sqrt(energy);
    const root = Math.sqrt(code.length);
    return {
      hoyer: (root - ratio) / (root - 1),
      ratio,
      half: ratio ** 2,
      one: Math.exp(-sum(shares.map((share) => share * Math.log(share)))),
      above: scaled.filter((size) => size >= 0.1).length,
    };
  }

  const NAMES = {
    hoyer: "Hoyer",
    ratio: "sum of magnitudes / length",
    half: "equivalent count",
    one: "count by entropy",
    above: "at least a tenth of the largest",
  };

  /** A number between -3 and 3 from the standard normal distribution. */
  function draw() {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    const value = radius * Math.cos(2 * Math.PI * Math.random());
    return Math.abs(value) <= 3 ? value : draw();
  }

  function bring(host) {
    const bars = host.querySelector(".bars");
    const columns = [...bars.children];
    const start = Number(host.dataset.most);
    let most = start; // how far the axis goes, either way
    let code = JSON.parse(host.dataset.values);
    const said = make("div", { class: "said-only", "aria-live": "polite" });
    const axis = make("span", {});
    const cells = {};
    const lines = Object.entries(NAMES).map(([key, name]) => {
      cells[key] = make("data", { "data-measure": key });
      return make("div", {}, make("dt", {}, name), make("dd", {}, cells[key]));
    });

    function show() {
      columns.forEach((column, place) => {
        column.style.setProperty("--z", code[place] / most);
        column.firstChild.textContent = text(code[place]);
        const range = { "aria-valuemin": -most, "aria-valuemax": most };
        const value = { "aria-valuenow": code[place], "aria-valuetext": text(code[place]) };
        for (const [name, to] of Object.entries({ ...range, ...value })) column.setAttribute(name, to);
      });
      axis.textContent = `Drag the bars, or move them with arrow keys, from −${text(most)} to ${text(most)}.`;
      const found = measure(code);
      for (const [key, cell] of Object.entries(cells)) {
        cell.value = found[key] ?? "";
        cell.textContent = found[key] === undefined ? "–" : found[key].toFixed(key === "above" ? 0 : 3);
      }
    }

    /** Say the result once a movement has come to rest. */
    function tell() {
      const [hoyer, , half] = Object.values(cells).map((cell) => cell.textContent);
      said.textContent = `Hoyer ${hoyer}, as ${half} equal coefficients`;
    }

    function set(place, value) {
      const step = most / FINE;
      code[place] = Math.min(most, Math.max(-most, Math.round(value / step) * step)) || 0;
      show();
    }

    function drag(event, place) {
      const { top, height } = columns[place].getBoundingClientRect();
      set(place, most * (1 - (2 * (event.clientY - top)) / height));
    }

    function press(event, place) {
      const steps = { ArrowUp: 2, ArrowRight: 2, ArrowDown: -2, ArrowLeft: -2, PageUp: 12, PageDown: -12 };
      const ends = { Home: -most, End: most, 0: 0 };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in steps) set(place, code[place] + (steps[event.key] * most) / FINE);
      else if (event.key in ends) set(place, ends[event.key]);
      else return;
      event.preventDefault();
      tell();
    }

    function listen(column, place) {
      const slider = { role: "slider", tabindex: 0, "aria-orientation": "vertical" };
      for (const [name, value] of Object.entries(slider)) column.setAttribute(name, value);
      column.setAttribute("aria-label", `Coefficient ${place + 1}`);
      column.addEventListener("keydown", (event) => press(event, place));
      column.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        column.setPointerCapture(event.pointerId);
        column.focus();
        drag(event, place);
        event.preventDefault(); // nothing is selected on the way
      });
      column.addEventListener("pointermove", (event) => {
        if (column.hasPointerCapture(event.pointerId)) drag(event, place);
      });
      column.addEventListener("lostpointercapture", tell);
    }

    const first = (count) => () => code.map((_, place) => (place < count ? 2 : 0));
    const acts = {
      "One": first(1),
      "Two equal": first(2),
      "All equal": first(Infinity),
      "Gaussian draw": () => code.map(draw),
      "Times ten": () => code.map((value) => 10 * value),
    };
    const buttons = Object.entries(acts).map(([name, act]) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => {
        most = name === "Times ten" ? 10 * most : start;
        code = act();
        show();
        tell();
      });
      return button;
    });

    bars.setAttribute("role", "group");
    bars.setAttribute("aria-label", `${code.length} coefficients to move`);
    columns.forEach(listen);
    host.querySelector("p").replaceWith(axis);
    const panel = make("div", { class: "sound-bar" }, ...buttons);
    host.append(make("div", { class: "sound-panel" }, make("dl", {}, ...lines), panel, said));
    show();
  }

  class CodeBars extends HTMLElement {
    connectedCallback() {
      const once = () => this.alive || ((this.alive = true), bring(this));
      if (document.readyState !== "loading") once();
      else document.addEventListener("DOMContentLoaded", once);
    }
  }
  customElements.define("code-bars", CodeBars);
})();

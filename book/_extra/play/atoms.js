/* The atoms of a log-linear model: bars to choose one by, its equaliser curve, and what moves it.
   A dictionary has an atom a column and a frequency a row, from 0 to 8 kHz. */
const atoms = (() => {
  "use strict";

  const $ = (name) => document.getElementById(`play-${name}`);
  const DECIBELS = 10 / Math.LN10; // a unit of log-variance
  const HIGHEST = 8; // kHz
  const STEP = 10; // decibels to which the height of a plot is rounded up
  const DRAGGED = 0.05; // of the height of the bars: less is a tap

  const signed = (value) => value.toFixed(1).replace("-", "−");
  const within = (value, most) => Math.max(-most, Math.min(most, value));

  /* What a unit of an atom's coefficient adds to the spectrum, in decibels. */
  const curve = ({ rows, cols, data }, atom) =>
    Array.from({ length: rows }, (_, row) => DECIBELS * data[row * cols + atom]);

  function describe(decibels, atom) {
    const at = (value) => ((HIGHEST * decibels.indexOf(value)) / (decibels.length - 1)).toFixed(1);
    const said = (value) => `${signed(value)} dB (at ${at(value)} kHz)`;
    const ends = [Math.min(...decibels), Math.max(...decibels)].map(said).join(" to ");
    return `A unit of atom ${atom + 1} changes the spectrum by ${ends}.`;
  }

  function mark(className, textContent, at = 0) {
    const span = Object.assign(document.createElement("span"), { className, textContent });
    span.style.setProperty("--at", `${100 * at}%`);
    return span;
  }

  /* Draw a curve into the plot, whose first child is an SVG with two paths: zero, and the curve. */
  function draw(plot, decibels) {
    const top = STEP * Math.ceil(Math.max(1, ...decibels.map(Math.abs)) / STEP);
    const right = decibels.length - 1;
    const [svg] = plot.children;
    svg.setAttribute("viewBox", `0 ${-top} ${right} ${2 * top}`);
    svg.firstElementChild.setAttribute("d", `M0 0H${right}`);
    const points = decibels.map((value, i) => `${i} ${-value.toFixed(2)}`);
    svg.lastElementChild.setAttribute("d", `M${points.join("L")}`);
    const across = [0, 2, 4, 6, 8].map((f) => mark("tick across", f, f / HIGHEST));
    const up = [-1, -0.5, 0, 0.5, 1].map((y) =>
      mark("tick up", String(y * top).replace("-", "−"), (y + 1) / 2),
    );
    const named = [mark("axis across", "Frequency in kHz"), mark("axis up", "dB per unit")];
    plot.replaceChildren(svg, ...across, ...up, ...named);
  }

  /* What shows atoms, and calls `choose(row)`, `move(shift, by)` and `hear(level)`. */
  function makePanel({ choose, move, hear, furthest }) {
    const bars = $("bars");
    const radios = [...$("heard").querySelectorAll("input")];
    const moveTo = (shift, by) => move(within(Math.round(10 * shift) / 10, furthest), by);
    let highest = 1; // what a bar of full height stands for
    let began = null; // the pointer that is down on a bar

    function tellAtom(dictionary, row, level, shift) {
      const decibels = curve(dictionary, row);
      draw($("curve"), decibels);
      $("curve-said").textContent = describe(decibels, row);
      $("curve").setAttribute("aria-label", $("curve-said").textContent);
      $("atom").max = dictionary.cols;
      $("atom").value = row + 1;
      $("atom-said").textContent = `${row + 1} of ${dictionary.cols}`;
      $("shift").value = shift;
      $("shift-said").textContent = signed(shift);
      for (const radio of radios) {
        radio.checked = Number(radio.value) === level && !(level === 1 && shift);
      }
    }

    function tellBars(values, most, chosen) {
      highest = most;
      while (bars.children.length > values.length) bars.lastChild.remove();
      while (bars.children.length < values.length) bars.append(document.createElement("i"));
      values.forEach((value, i) => {
        bars.children[i].style.setProperty("--z", within(value / most, 1));
        bars.children[i].classList.toggle("play-chosen", i === chosen);
      });
    }

    function rowAt({ clientX }) {
      const { left, width } = bars.getBoundingClientRect();
      const count = bars.children.length;
      return Math.max(0, Math.min(count - 1, Math.floor((count * (clientX - left)) / width)));
    }

    /* A tap or a sweep chooses an atom; a mouse drags it up and down. */
    bars.onpointerdown = (event) => {
      if (event.button) return;
      bars.setPointerCapture(event.pointerId);
      choose(rowAt(event));
      began = { y: event.clientY, shift: Number($("shift").value), dragged: false };
    };
    bars.onpointermove = (event) => {
      if (!began) return;
      if (event.pointerType !== "mouse") return choose(rowAt(event));
      const rise = (began.y - event.clientY) / bars.clientHeight;
      began.dragged ||= Math.abs(rise) > DRAGGED;
      if (began.dragged) moveTo(began.shift + 2 * rise * highest, began);
    };
    bars.onpointerup = bars.onpointercancel = () => (began = null);

    $("atom").oninput = () => choose(Number($("atom").value) - 1);
    Object.assign($("shift"), { min: -furthest, max: furthest });
    $("shift").oninput = () => moveTo(Number($("shift").value), $("shift"));
    for (const radio of radios) radio.onchange = () => hear(Number(radio.value));
    return { tellAtom, tellBars };
  }

  return { makePanel };
})();

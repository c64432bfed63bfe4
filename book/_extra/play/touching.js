/* A picture of a code under a mouse, a finger or keys: a tap, or a part that is dragged over. */
const touching = (() => {
  "use strict";

  const { END } = choices;
  const DRAGGED = 6; // pixels: less is a tap
  const MOVES = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

  const inside = (value, n) => Math.max(0, Math.min(n - 1, value));

  const between = (a, b) => [
    Math.min(a.row, b.row),
    Math.max(a.row, b.row),
    Math.min(a.instant, b.instant),
    Math.max(a.instant, b.instant),
  ];

  const wholeRow = ({ row }) => [row, row, 0, END];

  function listenToPointer(picture, { size, select, touch }) {
    let began = null;

    function cellAt(event) {
      const box = picture.querySelector("canvas").getBoundingClientRect();
      const place = (value, n) => inside(Math.floor(value * n), n);
      return {
        row: place(1 - (event.clientY - box.top) / box.height, size().cols),
        instant: place((event.clientX - box.left) / box.width, size().rows),
      };
    }

    picture.onpointerdown = (event) => {
      if (!size() || event.button) return;
      picture.setPointerCapture(event.pointerId);
      began = { ...cellAt(event), x: event.clientX, y: event.clientY, dragged: false };
    };
    picture.onpointermove = (event) => {
      if (!began) return;
      began.dragged ||= Math.hypot(event.clientX - began.x, event.clientY - began.y) > DRAGGED;
      if (began.dragged) select(between(began, cellAt(event)));
    };
    picture.onpointerup = (event) => {
      if (!began) return;
      const part = began.dragged ? between(began, cellAt(event)) : wholeRow(began);
      began = null;
      touch(part);
    };
    picture.onpointercancel = () => (began = null);
  }

  function listenToKeys(picture, { size, select, touch, say }) {
    let [corner, end] = [{ row: 0, instant: 0 }, { row: 0, instant: 0 }];
    picture.onkeydown = (event) => {
      if (!size() || event.ctrlKey || event.metaKey || event.altKey) return;
      const isPart = corner.row !== end.row || corner.instant !== end.instant;
      if (MOVES[event.key]) {
        const [rows, steps] = MOVES[event.key];
        const { rows: instants, cols } = size();
        end = { row: inside(end.row + rows, cols), instant: inside(end.instant + steps, instants) };
        if (!event.shiftKey) corner = end;
        select(between(corner, end));
        say(end);
      } else if (event.key === "Enter" || event.key === " ") {
        touch(isPart ? between(corner, end) : wholeRow(end));
      } else return;
      event.preventDefault();
    };
  }

  /* Call `select(part)` while a part is chosen, and `touch(part)` when it is; `say` with the cell
     that keys have come to. `size()` is the code's, as of a matrix, or nothing before there is one. */
  function listen(picture, calls) {
    listenToPointer(picture, calls);
    listenToKeys(picture, calls);
  }

  return { listen };
})();

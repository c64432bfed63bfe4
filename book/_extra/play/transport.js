/* Where a player stands, told by its button, its slider, its clock and its playheads. `also` is
   called, where it is given, whenever the playheads move. */
const makeTransport = (player, told, also) => {
  "use strict";

  const { button, position, time, heads } = told;
  let frame = 0; // when the playheads move next

  function tellPlaying() {
    button.textContent = player.playing() ? "Pause" : "Play";
    position.max = player.seconds();
    tellPosition();
  }

  function tellPosition() {
    const [now, all] = [player.position(), player.seconds()];
    if (document.activeElement !== position || player.playing()) position.value = now;
    time.textContent = `${now.toFixed(1)} / ${all.toFixed(1)} s`;
    for (const head of heads) head.style.left = `${all ? (100 * now) / all : 0}%`;
    also?.();
    cancelAnimationFrame(frame);
    if (player.playing()) frame = requestAnimationFrame(tellPosition);
  }

  return { tellPlaying, tellPosition };
};

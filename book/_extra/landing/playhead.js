/* A line over the codes of the landing page stands where its player stands, and a press on the
   codes moves both. The player's own slider does the same by keyboard. */
"use strict";
(() => {
  const player = document.querySelector(".landing sound-switch");
  const codes = document.querySelector(".landing .codes");
  const line = codes.querySelector(".playhead");
  const sounds = [...player.querySelectorAll("audio")];
  const seek = () => player.querySelector("input[type=range]");

  function move() {
    if (!seek()) return;
    line.hidden = false;
    line.style.left = `${(100 * seek().value) / seek().max}%`;
  }

  function follow() {
    move();
    if (sounds.some((sound) => !sound.paused)) requestAnimationFrame(follow);
  }

  function press({ clientX }) {
    if (!seek()) return;
    const { left, width } = codes.getBoundingClientRect();
    seek().value = (seek().max * (clientX - left)) / width;
    seek().dispatchEvent(new Event("input", { bubbles: true }));
  }

  player.addEventListener("play", follow, true); // media events do not bubble
  player.addEventListener("pause", move, true);
  player.addEventListener("input", move);
  codes.addEventListener("click", press);
})();

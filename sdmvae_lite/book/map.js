/* A scatter whose marks play: a press chooses the sound of a mark in the player below and starts
   it; the one that sounds is marked. `instruments.py` puts this script beside what a cell
   displays; without it there are a numbered scatter and players with the same numbers. */
"use strict";
(() => {
  if (customElements.get("sound-map")) return; // another output of the page brought it

  function bring(host) {
    const radios = [...host.querySelectorAll("input[type=radio]")];
    const play = host.querySelector(".sound-bar button");
    const sounds = [...host.querySelectorAll("audio")];
    const plays = () => sounds.some((sound) => !sound.paused);
    const said = document.createElement("output");
    said.className = "sound-said";
    said.setAttribute("aria-live", "polite");

    /** A button in the place of a mark. */
    function enliven(mark) {
      const button = document.createElement("button");
      button.type = "button";
      for (const { name, value } of mark.attributes) button.setAttribute(name, value);
      button.textContent = mark.textContent;
      button.setAttribute("aria-label", `${mark.textContent}: ${mark.title}`);
      button.addEventListener("click", () => press(radios[mark.dataset.sound]));
      mark.replaceWith(button);
      return button;
    }

    /** Let a sound be heard; a second press pauses it. */
    function press(radio) {
      const again = radio.checked;
      radio.click();
      if (again || !plays()) play.click();
    }

    function tell() {
      const chosen = radios.findIndex((radio) => radio.checked);
      for (const mark of marks) mark.setAttribute("aria-pressed", mark.dataset.sound === String(chosen));
      const heard = marks.find((mark) => mark.dataset.sound === String(chosen));
      said.textContent = heard ? heard.getAttribute("aria-label") : radios[chosen].parentNode.textContent;
    }

    const marks = [...host.querySelectorAll(".mark")].map(enliven);
    host.querySelector(".plot").after(said);
    host.addEventListener("change", tell);
    tell();
  }

  class SoundMap extends HTMLElement {
    connectedCallback() {
      const once = () => this.alive || ((this.alive = true), bring(this));
      const later = () => setTimeout(once); // after the player in it, which waits for the same
      if (document.readyState !== "loading") later();
      else document.addEventListener("DOMContentLoaded", later);
    }
  }
  customElements.define("sound-map", SoundMap);
})();

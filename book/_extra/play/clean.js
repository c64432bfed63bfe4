/* Noise added to a voice and taken out again: what the listener chooses, waits for and hears. */
(() => {
  "use strict";

  const MODEL = playList.models.find(({ label }) => label === "VAE").name;
  const PEAK = 0.7; // of the mixture; its parts are at the level that they have in it
  const SEED = 1;
  const { make, makeRandom, mix, siSdr } = makeNoises(numerics);
  const $ = (name) => document.getElementById(`clean-${name}`);
  const radios = (name) => [...$(name).querySelectorAll("input")];
  const chosen = (name) => radios(name).find(({ checked }) => checked);

  let heard = {}; // the sounds of the last press, by the names of their buttons
  let stop = null; // what ends the work that is going on

  function say(text, isError = false) {
    $("said").textContent = text;
    $("said").classList.toggle("play-error", isError);
  }

  /* ---- The work, in a worker so that the page stays at hand. ---- */

  const WORK = `
    const numerics = (${makeNumerics})();
    const { makeRandom } = (${makeNoises})(numerics);
    const { enhance } = (${makeEnhancement})(numerics);
    const tell = (share) => postMessage({ share });
    onmessage = ({ data: [bytes, mixture] }) =>
      postMessage({ found: enhance(numerics.readModel(bytes), mixture, makeRandom(${SEED}), tell) });`;

  /* What `enhance` finds in a mixture, or null where the listener stops it. */
  function enhanced(bytes, mixture, tell) {
    const url = URL.createObjectURL(new Blob([WORK]));
    const worker = new Worker(url);
    return new Promise((resolve, reject) => {
      stop = () => resolve(null);
      worker.onmessage = ({ data }) => (data.found ? resolve(data.found) : tell(data.share));
      worker.onerror = () => reject(new Error("The work broke off. Try again, or choose a shorter sound."));
      worker.postMessage([bytes, mixture]);
    }).finally(() => {
      worker.terminate();
      URL.revokeObjectURL(url);
    });
  }

  /* A voice, and a mixture of it with the noise that is chosen. */
  async function mixed() {
    const names = library.sounds().map(({ name }) => name);
    const at = names.indexOf($("sounds").value);
    const pair = [names[at], names[(at + 1) % names.length]];
    const [voice, other] = (await Promise.all(pair.map(library.find))).map(({ samples }) => samples);
    const noise = make(chosen("noise").value, voice, other, makeRandom(SEED));
    const mixture = mix(voice, noise, Number($("snr").value));
    const level = PEAK / mixture.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return [voice, mixture].map((samples) => samples.map((value) => level * value));
  }

  async function work() {
    const began = performance.now();
    const bytes = await library.load(MODEL);
    const [voice, mixture] = await mixed();
    hear({ original: voice, noisy: mixture }, "noisy");
    player.play();
    say("The noise is being taken out.");
    const found = await enhanced(bytes, mixture, (share) => ($("progress").value = share));
    if (!found) {
      say("Stopped.");
      return;
    }
    hear({ ...heard, cleaned: found.speech, removed: found.noise }, "cleaned");
    const [before, after] = [mixture, found.speech].map((samples) => siSdr(voice, samples));
    const seconds = (performance.now() - began) / 1000;
    say(`SI-SDR: ${decibels(before)} noisy, ${decibels(after)} cleaned. It took ${seconds.toFixed(1)} s.`);
  }

  const decibels = (value) => `${value.toFixed(1).replace("-", "−")} dB`;

  async function press() {
    if (stop) return stop();
    player.wake();
    stop = () => {};
    $("progress").value = 0;
    tellWorking(true);
    try {
      await work();
    } catch (error) {
      say(error.message, true);
    } finally {
      stop = null;
      tellWorking(false);
    }
  }

  function tellWorking(isWorking) {
    $("start").textContent = isWorking ? "Stop" : "Add the noise and take it out";
    $("progress").hidden = !isWorking;
  }

  /* ---- What is heard. ---- */

  const player = sound.makePlayer(() => transport.tellPlaying());
  const heads = $("result").querySelectorAll(".playhead");
  const told = { button: $("play"), position: $("position"), time: $("time"), heads };
  const transport = makeTransport(player, told);

  /* Offer these sounds, and let one be heard. */
  function hear(sounds, name) {
    heard = sounds;
    $("result").hidden = false;
    for (const radio of radios("heard")) {
      radio.disabled = !heard[radio.value];
      radio.checked = radio.value === name;
    }
    change();
  }

  function change() {
    const { value, nextElementSibling } = chosen("heard");
    player.load(heard[value]);
    const powers = [heard.noisy, heard[value]].map((samples) => numerics.analyse(samples).power);
    const [top] = powers.map(({ data }) => 10 * Math.log10(data.reduce((a, b) => Math.max(a, b))));
    const inDecibels = powers[1].data.map((power) => 10 * Math.log10(power + 1e-12));
    pictures.spectrogram($("spectrogram"), { ...powers[1], data: inDecibels }, top);
    $("spectrogram").setAttribute("aria-label", `Spectrogram: ${nextElementSibling.textContent}`);
    transport.tellPlaying();
  }

  function seek(to) {
    player.seek(to);
    transport.tellPosition();
  }

  /* ---- Controls. ---- */

  function offerSounds() {
    const { value } = $("sounds");
    const names = library.sounds().map(({ name }) => name);
    $("sounds").replaceChildren(...library.sounds().map(({ name, label }) => new Option(label, name)));
    $("sounds").value = names.includes(value) ? value : names[0];
  }

  function tellRatio() {
    $("snr-said").textContent = `by ${$("snr").value.replace("-", "−")} dB`;
  }

  function start() {
    document.getElementById("clean").hidden = false;
    offerSounds();
    tellRatio();
    library.whenTaken(offerSounds);
    $("snr").oninput = tellRatio;
    $("start").onclick = press;
    $("play").onclick = () => (player.playing() ? player.pause() : player.play());
    $("position").oninput = () => seek(Number($("position").value));
    $("spectrogram").onclick = ({ offsetX }) => seek((player.seconds() * offsetX) / $("spectrogram").clientWidth);
    for (const radio of radios("heard")) radio.onchange = change;
  }

  start();
})();

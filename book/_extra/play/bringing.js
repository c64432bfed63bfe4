/* Sounds of the listener's own: recorded, chosen as a file or dropped. */
const bringing = (() => {
  "use strict";

  const $ = (name) => document.getElementById(`play-${name}`);

  /* Call `take(name)` when the library has a new sound, `hush()` before one is recorded, and `say`
     how it goes. */
  function listen(whole, { take, say, hush }) {
    let recording = null;

    async function bring(bytes, label) {
      try {
        await take(await library.take(bytes, label));
      } catch (error) {
        say(error.message, true);
      }
    }

    async function toggleRecording() {
      if (recording) return recording.stop();
      try {
        hush();
        say("Waiting for the microphone.");
        $("record").disabled = true;
        recording = await sound.record();
        $("record").disabled = false;
        $("record").textContent = "Stop recording";
        say(`Recording. It ends by itself after ${sound.LONGEST} seconds.`);
        await bring(recording.done, "Your recording");
      } catch (error) {
        say(error.message, true);
      } finally {
        recording = null;
        Object.assign($("record"), { disabled: false, textContent: "Record your voice" });
      }
    }

    function bringFile(file) {
      if (file) bring(file.arrayBuffer(), file.name);
    }

    $("record").onclick = toggleRecording;
    $("file").onchange = () => bringFile($("file").files[0]);
    whole.ondragover = (event) => event.preventDefault();
    whole.ondrop = (event) => {
      event.preventDefault();
      bringFile(event.dataTransfer.files[0]);
    };
  }

  return { listen };
})();

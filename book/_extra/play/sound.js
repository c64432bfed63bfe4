/* Sound in and out: files and the microphone to samples, samples to ear and to WAV.
   Samples are a Float64Array at 16 kHz. An error says what the listener can do. */
const sound = (() => {
  "use strict";

  const RATE = 16000;
  const LONGEST = 10; // seconds
  const SHORTEST = 0.1;
  const FADE = 0.012; // seconds that one voice takes to give way to another

  /* The samples of a file or recording, its channels averaged, its largest value 1. */
  async function read(bytes) {
    let decoded;
    try {
      decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    } catch {
      throw new Error("This file cannot be read as sound. Choose a WAV, MP3, M4A, OGG or FLAC file.");
    }
    const length = Math.min(decoded.length, LONGEST * RATE);
    const samples = new Float64Array(length);
    for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
      decoded.getChannelData(channel).subarray(0, length).forEach((value, i) => {
        samples[i] += value / decoded.numberOfChannels;
      });
    }
    if (length < SHORTEST * RATE) {
      throw new Error("This sound is shorter than a tenth of a second. Choose a longer one.");
    }
    const peak = loudest(samples);
    if (!(peak > 1e-4)) {
      throw new Error("This sound is silent. Record again, nearer to the microphone.");
    }
    return samples.map((value) => value / peak);
  }

  const REFUSED = {
    NotAllowedError: "The microphone is not allowed here. Allow it beside the address, or choose a file.",
    NotFoundError: "There is no microphone here. Connect one, or choose a file.",
    NotReadableError: "Another program holds the microphone. Close it, or choose a file.",
  };
  const KINDS = ["audio/webm;codecs=pcm", "audio/mp4", "audio/webm;codecs=opus"];

  /* Record until `stop()` or the longest time; `done` is a promise of the recording's bytes. */
  async function record() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      throw new Error("This page cannot reach a microphone here. Choose a file.");
    }
    session("auto");
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((refused) => {
      throw new Error(REFUSED[refused.name] ?? "The microphone did not answer. Choose a file.");
    });
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    const pieces = [];
    const done = new Promise((resolve, reject) => {
      recorder.ondataavailable = (event) => pieces.push(event.data);
      recorder.onerror = () => reject(new Error("The recording broke off. Record again."));
      recorder.onstop = () => {
        stream.getTracks().forEach((track) => track.stop());
        resolve(new Blob(pieces).arrayBuffer());
      };
    });
    const stop = () => recorder.state === "inactive" || recorder.stop();
    recorder.start();
    setTimeout(stop, 1000 * LONGEST);
    return { stop, done };
  }

  /* Tell an iPhone that its silent switch does not concern this sound. */
  function session(type) {
    if (navigator.audioSession) navigator.audioSession.type = type;
  }

  const loudest = (samples) => samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

  /* Samples that do not clip: brought down where the largest is above 1. */
  function unclipped(samples) {
    const peak = loudest(samples);
    return peak > 1 ? samples.map((value) => value / peak) : samples;
  }

  /* A WAV file of 16 bits. */
  function wav(samples) {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + 2 * samples.length, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    [1, 1].forEach((value, i) => view.setUint16(20 + 2 * i, value, true));
    [RATE, 2 * RATE].forEach((value, i) => view.setUint32(24 + 4 * i, value, true));
    [2, 16].forEach((value, i) => view.setUint16(32 + 2 * i, value, true));
    text(36, "data");
    view.setUint32(40, 2 * samples.length, true);
    samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.round(32767 * value), true));
    return new Blob([view], { type: "audio/wav" });
  }

  let heard = null; // the player that sounds: one at a time

  /* A player that repeats what is loaded, from one position: what sounds can be exchanged while it
     sounds, without a gap. `tell` is called when it begins, and when it pauses. */
  function makePlayer(tell) {
    let context, buffer, current;
    let rest = 0; // where it stands, in seconds, while nothing sounds
    let origin = 0; // when what is heard began, or would have begun, by the context's clock

    const seconds = () => (buffer ? buffer.length / RATE : 0);
    const soon = () => context.currentTime + 0.005;
    const phase = (time) => (((time - origin) % seconds()) + seconds()) % seconds();
    const position = () =>
      current ? phase(context.currentTime - (context.outputLatency || 0)) : rest;

    function fade(gain, to, when) {
      gain.setValueAtTime(1 - to, when);
      gain.linearRampToValueAtTime(to, when + FADE);
    }

    function release(when) {
      if (!current) return;
      fade(current.gain.gain, 0, when);
      current.source.stop(when + FADE);
      current = null;
    }

    function begin(when) {
      release(when);
      const source = new AudioBufferSourceNode(context, { buffer, loop: true });
      const gain = new GainNode(context, { gain: 0 });
      source.connect(gain).connect(context.destination);
      fade(gain.gain, 1, when);
      source.start(when, phase(when));
      current = { source, gain };
    }

    const player = {
      position,
      seconds,
      playing: () => Boolean(current),

      /* What to play from now on. It goes on where it was, unless it is of another length. */
      load(samples) {
        if (samples.length !== buffer?.length) {
          rest = 0;
          if (current) origin = soon();
        }
        buffer = new AudioBuffer({ length: samples.length, sampleRate: RATE });
        buffer.copyToChannel(Float32Array.from(samples), 0);
        if (current) begin(soon());
      },

      /* To be called in the listener's own action: browsers allow no sound before one. */
      wake() {
        session("playback");
        context ??= new AudioContext({ sampleRate: RATE });
        context.resume();
      },

      play() {
        player.wake();
        if (current) return;
        if (heard !== player) heard?.pause();
        heard = player;
        player.seek(rest, true);
        tell();
      },

      pause() {
        if (!current) return;
        rest = position();
        release(context.currentTime);
        tell();
      },

      seek(to, start = Boolean(current)) {
        rest = to;
        if (!start || !buffer) return;
        const when = soon();
        origin = when - to;
        begin(when);
      },
    };
    return player;
  }

  return { LONGEST, RATE, makePlayer, read, record, unclipped, wav };
})();

/* Models and sentences, which are loaded when they are first used, and what the listener brought. */
const library = (() => {
  "use strict";

  const arrived = {};
  window.playData = (name, text) => (arrived[name] = text);

  /* Remember what `find` promised for a name; forget it where it fails. */
  function once(find) {
    const promised = {};
    return (name) =>
      (promised[name] ??= find(name).catch((error) => {
        delete promised[name];
        throw error;
      }));
  }

  /* The bytes of a model or a sentence. */
  const load = once(
    (name) =>
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `play/${name}.js`;
        script.onload = () => resolve(numerics.fromBase64(arrived[name]));
        script.onerror = () =>
          reject(new Error(`${script.src} could not be loaded. Check the connection and try again.`));
        document.head.append(script);
      }),
  );
  const model = once(async (name) => numerics.readModel(await load(name)));

  const yours = []; // what the listener recorded or chose last: {name, label, source}
  const sourceOf = (samples) => ({ samples, through: {} }); // and what models made of it
  const sentence = once(async (name) => sourceOf(await sound.read((await load(name)).buffer)));
  const isYours = (name) => yours.some((each) => each.name === name);
  const find = (name) => yours.find((each) => each.name === name)?.source ?? sentence(name);
  const sounds = () => [...playList.sentences, ...yours];

  const listeners = [];

  /* Take a file or a recording in the place of the one before, and give its name. */
  async function take(bytes, label) {
    const source = sourceOf(await sound.read(await bytes));
    const name = `yours-${Date.now()}`;
    yours.splice(0, 1, { name, label, source });
    for (const listener of listeners) listener();
    return name;
  }

  return { find, isYours, load, model, sounds, take, whenTaken: (listener) => listeners.push(listener) };
})();

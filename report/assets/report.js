// What every page of a report uses: the data that its scripts bring, and elements made from text.
"use strict";

const medbenchReport = (() => {
  const received = new Map();
  const waiting = new Map(); // name -> the promise of its data, while its file is loaded
  const resolvers = new Map(); // name -> the function that keeps this promise

  const listeners = new Map(); // name -> what is called whenever its data come
  const kept = new Map(); // name -> {save, restore}: what a reader has chosen on this page
  const version = document.body.dataset.live; // of a report that is served while runs go on
  const order = []; // names of the files that were loaded, the oldest first
  const pen = document.createElement("canvas").getContext("2d"); // measures text
  const BESIDE = 40; // pixels of a heading beside its text: padding, a border, and the sign of the order

  /** Called by each data file. The text is JSON. */
  function receive(name, text) {
    received.set(name, JSON.parse(text));
    resolvers.get(name)?.(received.get(name));
    listeners.get(name)?.(received.get(name));
  }

  /** Call a function whenever data of this name come. */
  function listen(name, told) {
    listeners.set(name, told);
  }

  /** Name what a reader has chosen, so that it can be saved before the page loads again, and restored after. */
  function keep(name, save, restore) {
    kept.set(name, { save, restore });
  }

  /** Return the data of a script that the page has loaded. */
  function data(name) {
    return received.get(name);
  }

  /** Return a promise of the data in a file, which is loaded if it is not here. At most `kept` files stay in memory. */
  function load(name, file, kept) {
    if (received.has(name)) return Promise.resolve(received.get(name));
    if (waiting.has(name)) return waiting.get(name);
    const script = document.createElement("script");
    const promise = new Promise((resolve, reject) => {
      resolvers.set(name, resolve);
      script.onerror = () => reject(new Error(`${file} could not be loaded. It belongs into the report's folder.`));
    }).finally(() => {
      script.remove();
      waiting.delete(name);
      resolvers.delete(name);
      order.push(name);
      if (order.length > kept) received.delete(order.shift());
    });
    waiting.set(name, promise);
    script.src = version ? `${file}?version=${version}` : file;
    document.head.append(script);
    return promise;
  }

  /** Return an element with text and children. Texts are only ever set as text, never as HTML. */
  function element(tag, options = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "text") made.textContent = value;
      else if (name === "class") made.className = value;
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** Return a name that lines break after its signs and before brackets only, and the width of a heading for its longest part. */
  function breakable(name) {
    const parts = name.match(/\[?[^:@/_\-\s[]*[:@/_\-\s]*/g).filter(Boolean);
    const { fontFamily, fontSize } = getComputedStyle(document.body);
    pen.font = `700 ${0.9 * parseFloat(fontSize)}px ${fontFamily}`; // as in report.css
    const longest = Math.max(0, ...parts.map((part) => pen.measureText(part.trimEnd()).width));
    return { nodes: parts.flatMap((part) => [part, document.createElement("wbr")]), width: Math.ceil(longest) + BESIDE };
  }

  return { receive, data, load, element, breakable, listen, keep, kept };
})();

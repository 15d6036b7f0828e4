// What every page of a report uses: the data that its scripts bring, and elements made from text.
"use strict";

const medbenchReport = (() => {
  const received = new Map();
  const waiting = new Map(); // name -> functions to call with the data

  /** Called by each data file. The text is JSON. */
  function receive(name, text) {
    received.set(name, JSON.parse(text));
    for (const done of waiting.get(name) || []) done(received.get(name));
    waiting.delete(name);
  }

  /** Return the data of a script that the page has loaded. */
  function data(name) {
    return received.get(name);
  }

  /** Return a promise of the data in a file, which is loaded if it is not here. At most `kept` stay in memory. */
  const order = [];
  function load(name, file, kept) {
    if (received.has(name)) return Promise.resolve(received.get(name));
    return new Promise((resolve, reject) => {
      if (waiting.has(name)) {
        waiting.get(name).push(resolve);
        return;
      }
      waiting.set(name, [resolve]);
      const script = document.createElement("script");
      script.src = file;
      script.onload = () => script.remove();
      script.onerror = () => {
        script.remove();
        waiting.delete(name);
        reject(new Error(`${file} could not be loaded.`));
      };
      document.head.append(script);
      order.push(name);
      if (order.length > kept) received.delete(order.shift());
    });
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

  return { receive, data, load, element };
})();

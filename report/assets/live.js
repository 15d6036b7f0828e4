// Loads the page again when `medbench view` has new answers, and leaves the reader where they were.
"use strict";

(() => {
  const { element, listen, kept } = medbenchReport;
  const EVERY = 1500; // milliseconds between two looks
  const IDLE = 1500; // milliseconds without a key or a click before the page may load again
  const PLACE = `medbench-place ${location.pathname}`;
  const version = Number(document.body.dataset.live);
  const status = document.getElementById("live");
  let touched = -IDLE;
  let asked = 0;
  let waiting = null; // the script that asks

  for (const name of ["keydown", "pointerdown", "input", "wheel"]) {
    window.addEventListener(name, ({ isTrusted }) => (touched = isTrusted ? performance.now() : touched), { passive: true, capture: true });
  }

  listen("live", (newest) => {
    status.textContent = "Live: new answers appear by themselves.";
    if (newest === version || performance.now() - touched < IDLE) return;
    save();
    location.reload();
  });

  function look() {
    if (document.hidden || waiting) return;
    asked += 1;
    waiting = element("script", { src: `data/live.js?${asked}` });
    const done = () => {
      waiting.remove();
      waiting = null;
    };
    waiting.onload = done;
    waiting.onerror = () => {
      done();
      status.textContent = "medbench view has ended: this page no longer changes.";
    };
    document.head.append(waiting);
  }

  const folds = () => [...document.querySelectorAll("details")];

  /** Return the name of each fold of the page: its words, and how many folds before it have the same words. */
  function names(all) {
    const counts = new Map();
    return all.map((fold) => {
      const words = fold.firstElementChild.textContent;
      counts.set(words, (counts.get(words) ?? 0) + 1);
      return `${words} ${counts.get(words)}`;
    });
  }

  function save() {
    const all = folds();
    const named = names(all);
    const place = {
      scroll: [window.scrollX, window.scrollY],
      focus: document.activeElement?.id ?? "",
      open: named.filter((name, at) => all[at].open),
      kept: [...kept].map(([key, { save: saved }]) => [key, saved()]),
    };
    sessionStorage.setItem(PLACE, JSON.stringify(place));
  }

  async function restore() {
    const text = sessionStorage.getItem(PLACE);
    sessionStorage.removeItem(PLACE);
    if (!text) return;
    const place = JSON.parse(text);
    history.scrollRestoration = "manual";
    const begun = performance.now();
    const todo = new Map(place.kept);
    // Tables and items are drawn a little later than the page is loaded. A reader who moves on is left alone.
    while (performance.now() - begun < 3000 && touched < begun) {
      for (const [key, value] of todo) {
        if (!kept.has(key)) continue;
        kept.get(key).restore(value);
        todo.delete(key);
      }
      const all = folds();
      names(all).forEach((name, at) => {
        if (place.open.includes(name)) all[at].open = true;
      });
      if (place.focus && document.activeElement === document.body) document.getElementById(place.focus)?.focus({ preventScroll: true });
      window.scrollTo(...place.scroll);
      await new Promise((resolve) => setTimeout(resolve, 60));
      const there = Math.abs(window.scrollY - place.scroll[1]) < 2;
      if (!todo.size && there && performance.now() - begun > 600) break;
    }
    document.body.setAttribute("data-restored", "");
  }

  restore();
  setInterval(look, EVERY);
})();

// Draws Vega-Lite charts in the page's colors. Expressions are interpreted: the pages forbid the evaluation of text.
"use strict";

const medbenchChart = (() => {
  const { data } = medbenchReport;
  const drawn = []; // [place, specification], drawn again when the colors change
  const views = new Map();

  function config() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const text = { labelColor: color("--ink"), titleColor: color("--ink"), labelFontSize: 12, titleFontSize: 12 };
    return {
      background: "transparent",
      axis: { ...text, gridColor: color("--line"), domainColor: color("--soft"), tickColor: color("--soft") },
      legend: text,
      header: text,
      text: { color: color("--ink") },
      view: { stroke: color("--line") },
      font: "system-ui, sans-serif",
    };
  }

  /** Return how wide the axes of a chart in an element are, in pixels. */
  const width = (place) => Math.max(200, place.clientWidth - 90);

  /** Draw a chart in an element, as wide as it. */
  function draw(place, specification) {
    views.get(place)?.finalize();
    const full = { ...specification, width: width(place), config: config() };
    const compiled = vegaLite.compile(full, { logger: vega.logger(vega.Error) }).spec;
    const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
      expr: vega.expressionInterpreter,
      renderer: "svg",
      container: place,
      hover: true,
      loader: { load: () => Promise.reject(new Error("no")), sanitize: () => Promise.reject(new Error("no")) },
    });
    views.set(place, view);
    view.runAsync().then(() => place.setAttribute("data-drawn", ""));
  }

  function show(place, specification) {
    const known = drawn.find(([other]) => other === place);
    if (known) known[1] = specification;
    else drawn.push([place, specification]);
    draw(place, specification);
  }

  const again = () => drawn.forEach(([place, specification]) => place.hidden || draw(place, specification));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let resized = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(again, 200);
  });

  for (const place of document.querySelectorAll("[data-chart]")) show(place, data("charts")[place.dataset.chart]);
  return { show, width };
})();

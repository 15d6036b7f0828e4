// Which models remain within limits, and which of them no other one beats in both quality and cost.
"use strict";

(() => {
  const { data, element } = medbenchReport;
  const COLORS = { "on the front": "#0072b2", "within the limits": "#e69f00", "beyond the limits": "#8c959f" };
  const SHAPES = { "on the front": "circle", "within the limits": "triangle-up", "beyond the limits": "cross" };
  const [FRONT, WITHIN, BEYOND] = Object.keys(COLORS);
  const WIDE = 20; // the ratio of largest to smallest cost from which the axis is logarithmic

  const summaries = data("tradeoffs");
  const byId = (id) => document.getElementById(id);
  const [summary, quality, cost] = ["summary", "quality", "cost"].map(byId);
  let limits = []; // per cost: a number, or null

  // Vega puts titles into expressions, as strings that its parser rejects if they have line separators.
  const line = (text) => text.replace(/[\s\u2028\u2029]+/g, " ");

  const fill = (select, names) => select.replaceChildren(...names.map((text, value) => element("option", { value, text })));

  function choose() {
    const { qualities, costs, models } = summaries[summary.value];
    fill(quality, qualities.map(({ name }) => name));
    fill(cost, costs.map(({ name, unit }) => `${name} (${unit})`));
    limits = costs.map(() => null);
    byId("limits").replaceChildren(
      ...costs.map((about, at) => {
        const known = models.map((model) => model.costs[at]?.value).filter((value) => value !== undefined);
        return limit(about, at, known);
      }),
    );
    show();
  }

  /** A slider and a field for one limit. The slider's right end is no limit. */
  function limit({ name, unit }, at, known) {
    const most = Math.max(...known);
    const slider = element("input", { type: "range", min: 0, max: most, step: "any", "aria-label": `${name}: at most, ${unit}` });
    slider.value = most;
    const field = element("input", { type: "number", min: 0, step: "any", placeholder: "no limit", "aria-label": `${name}: at most, ${unit}` });
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      limits[at] = value >= most ? null : value;
      field.value = limits[at] === null ? "" : Number(value.toPrecision(3));
      show();
    });
    field.addEventListener("input", () => {
      limits[at] = field.value === "" ? null : Number(field.value);
      slider.value = limits[at] ?? most;
      show();
    });
    return element("div", { class: "limit" }, element("span", { class: "text", text: name }), slider, field, element("span", { text: unit }));
  }

  /** The models with the chosen quality, each with where it stands, the best first. */
  function standing() {
    const { qualities, models } = summaries[summary.value];
    const sign = qualities[quality.value].better === "lower" ? -1 : 1;
    const found = models
      .map((model) => ({ model, good: model.qualities[quality.value], cheap: model.costs[cost.value] }))
      .filter(({ good }) => good !== null)
      .sort((a, b) => sign * (b.good.value - a.good.value));
    const meets = ({ model }) => limits.every((most, at) => most === null || (model.costs[at] !== null && model.costs[at].value <= most));
    const within = found.filter(meets);
    const beats = (a, b) =>
      a.cheap !== null &&
      sign * (a.good.value - b.good.value) >= 0 &&
      a.cheap.value <= b.cheap.value &&
      (a.good.value !== b.good.value || a.cheap.value < b.cheap.value);
    for (const one of found) {
      if (!within.includes(one)) one.place = BEYOND;
      else one.place = one.cheap !== null && !within.some((other) => beats(other, one)) ? FRONT : WITHIN;
    }
    return found;
  }

  function show() {
    const { qualities, costs, models } = summaries[summary.value];
    const found = standing();
    const within = found.filter(({ place }) => place !== BEYOND);
    const name = qualities[quality.value].name.replace(/ [↑↓]$/, "");
    const [best] = within;
    const lacking = models.length - found.length;
    const without = lacking ? ` ${lacking} without this figure.` : "";
    byId("best").textContent = best
      ? `Best ${name} within the limits: ${best.model.name}${best.model.setup ? ` (${best.model.setup})` : ""}, ${best.good.text}. ` +
        `${within.length} of ${models.length} models meet the limits.${without}`
      : `No model meets these limits.${without}`;
    const heading = ["", "model", "setup", name, ...costs.map((about) => about.name)];
    byId("table").replaceChildren(
      element(
        "table",
        {},
        element("tr", {}, ...heading.map((text) => element("th", { scope: "col", class: "text", text }))),
        ...found.map(({ model, good, place }) =>
          element(
            "tr",
            { class: place === BEYOND ? "beyond" : "" },
            ...[place, model.name, model.setup, good.text, ...model.costs.map((own) => own?.text ?? "–")].map((text) => element("td", { class: "text", text })),
          ),
        ),
      ),
    );
    const drawable = found.some(({ cheap }) => cheap !== null);
    byId("chart").hidden = !drawable;
    byId("empty").textContent = drawable ? "" : `${costs[cost.value].name} is unknown for every model with this quality.`;
    if (drawable) medbenchChart.show(byId("chart"), chart(found, name, costs[cost.value]));
  }

  function chart(found, name, about) {
    const points = found
      .filter(({ cheap }) => cheap !== null)
      .map(({ model, good, cheap, place }) => ({
        model: model.name,
        quality: good.value,
        low: good.low,
        high: good.high,
        cost: cheap.value,
        place,
        text: `${model.name}: ${name} ${good.text}, ${about.name} ${cheap.text}, ${place}`,
      }));
    const costs = points.map((point) => point.cost);
    const wide = costs.length && Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > WIDE;
    const places = Object.keys(COLORS);
    const x = {
      field: "cost",
      type: "quantitative",
      title: line(`${about.name} (${about.unit})`),
      scale: wide ? { type: "log", nice: true } : { zero: true, nice: true },
    };
    const y = { type: "quantitative", title: line(name), scale: { zero: false, nice: true } };
    const color = { field: "place", type: "nominal", title: null, scale: { domain: places, range: Object.values(COLORS) }, legend: { orient: "bottom", columns: 1 } };
    return {
      data: { values: points },
      height: 320,
      layer: [
        {
          transform: [{ filter: { field: "place", equal: FRONT } }],
          mark: { type: "line", aria: false, interpolate: "step-after", strokeDash: [4, 3], color: COLORS[FRONT] },
          encoding: { x, y: { ...y, field: "quality" }, order: { field: "cost" } },
        },
        {
          transform: [{ filter: { field: "low", valid: true } }],
          mark: { type: "rule", aria: false, opacity: 0.6 },
          encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
        },
        {
          mark: { type: "point", filled: true, size: 120, opacity: 1 },
          encoding: {
            x,
            y: { ...y, field: "quality" },
            color,
            shape: { field: "place", type: "nominal", title: null, scale: { domain: places, range: Object.values(SHAPES) } },
            tooltip: { field: "text" },
            description: { field: "text" },
          },
        },
        {
          mark: { type: "text", aria: false, align: "left", dx: 9, dy: -7, limit: 160 },
          encoding: { x, y: { ...y, field: "quality" }, text: { field: "model" } },
        },
      ],
    };
  }

  fill(summary, summaries.map(({ name }) => name));
  summary.parentElement.hidden = summaries.length < 2;
  summary.addEventListener("change", choose);
  quality.addEventListener("change", show);
  cost.addEventListener("change", show);
  byId("choices").addEventListener("submit", (event) => event.preventDefault());
  choose();
})();

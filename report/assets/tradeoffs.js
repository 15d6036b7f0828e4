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
  let limits = []; // {name, unit, word, own: the model's figure, value: a number or null}

  // Vega puts titles into expressions, as strings that its parser rejects if they have line separators.
  const line = (text) => text.replace(/[\s\u2028\u2029]+/g, " ");

  const plain = (name) => name.replace(/ [↑↓]$/, "");

  const fill = (select, names) => select.replaceChildren(...names.map((text, value) => element("option", { value, text })));

  function choose() {
    const { qualities, costs, models } = summaries[summary.value];
    fill(quality, qualities.map(({ name }) => name));
    fill(cost, costs.map(({ name, unit }) => `${name} (${unit})`));
    const safety = qualities.findIndex(({ kind }) => kind === "safety");
    limits = costs.map(({ name, unit }, at) => ({ name: plain(name), unit, word: "at most", own: (model) => model.costs[at], value: null }));
    if (safety >= 0) limits.push({ name: "safety", unit: "", word: "at least", own: (model) => model.qualities[safety], value: null });
    byId("limits").replaceChildren(...limits.map((limit) => control(limit, models)));
    show();
  }

  /** A slider and a field for one limit. One end of the slider is no limit: the right one of costs, the left of safety. */
  function control(limit, models) {
    const most = limit.word === "at least" ? 1 : Math.max(...models.map((model) => limit.own(model)?.value ?? 0));
    const none = limit.word === "at least" ? 0 : most;
    const label = `${limit.name}: ${limit.word}${limit.unit ? `, ${limit.unit}` : ""}`;
    const slider = element("input", { type: "range", min: 0, max: most, step: "any", "aria-label": label });
    slider.value = none;
    const field = element("input", { type: "number", min: 0, step: "any", placeholder: "no limit", "aria-label": label });
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      limit.value = limit.word === "at least" ? (value <= 0 ? null : value) : value >= most ? null : value;
      field.value = limit.value === null ? "" : Number(limit.value.toPrecision(3));
      show();
    });
    field.addEventListener("input", () => {
      limit.value = field.value === "" ? null : Number(field.value);
      slider.value = limit.value ?? none;
      show();
    });
    limit.set = (value) => {
      limit.value = value;
      field.value = value ?? "";
      slider.value = value ?? none;
    };
    return element(
      "div",
      { class: "limit" },
      element("span", { class: "text", text: `${limit.name} ${limit.word}` }),
      slider,
      field,
      element("span", { text: limit.unit }),
    );
  }

  /** Whether a model is known to meet a limit. */
  function meetsLimit(model, { own, word, value }) {
    if (value === null) return true;
    const figure = own(model);
    return figure !== null && (word === "at most" ? figure.value <= value : figure.value >= value);
  }

  /** The models with the chosen quality, each with where it stands, the best first. */
  function standing() {
    const { qualities, models } = summaries[summary.value];
    const sign = qualities[quality.value].better === "lower" ? -1 : 1;
    const found = models
      .map((model) => ({ model, good: model.qualities[quality.value], cheap: model.costs[cost.value] }))
      .filter(({ good }) => good !== null)
      .sort((a, b) => sign * (b.good.value - a.good.value));
    const meets = ({ model }) => limits.every((limit) => meetsLimit(model, limit));
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

  const named = (model) => `${model.name}${model.setup ? ` (${model.setup})` : ""}`;

  /** Sentences: which model to take, why, what is as good, and what would be better but for a limit. */
  function advice(found, within, name, about, models) {
    const set = limits.filter(({ value }) => value !== null);
    const asked = set.map((limit) => `${limit.name} ${limit.word} ${limit.value.toPrecision(3).replace(/\.?0+$/, "")} ${limit.unit}`.trim()).join(" and ");
    const lacking = models.length - found.length;
    const counted = `${within.length} of ${models.length} models meet the limits.${lacking ? ` ${lacking} without this figure.` : ""}`;
    if (!within.length) return [`No model meets these limits${asked ? `: ${asked}` : ""}.`];
    const [best] = within;
    const among = within.length === 1 ? "the only model" : `the best ${name} of the ${within.length} models`;
    const told = [`Take ${named(best.model)}: ${name} ${best.good.text}, ${among}${asked ? ` with ${asked}` : ""}.`];
    const overlaps = ({ good }) => [good.low, good.high, best.good.low, best.good.high].every((end) => typeof end === "number") && good.low <= best.good.high && best.good.low <= good.high;
    const equal = within.filter((one) => one !== best && overlaps(one));
    const cheaper = equal.filter(({ cheap }) => cheap && best.cheap && cheap.value < best.cheap.value).sort((a, b) => a.cheap.value - b.cheap.value);
    if (cheaper.length) {
      const [{ model, good, cheap }] = cheaper;
      told.push(`${named(model)} may be as good and costs less: ${name} ${good.text}, ${plain(about.name)} ${cheap.text}. The intervals overlap.`);
    } else if (equal.length) told.push(`${named(equal[0].model)} may be as good: ${name} ${equal[0].good.text}. The intervals overlap.`);
    const sign = found.indexOf(best);
    const beyond = found.slice(0, sign).map(({ model, good }) => {
      const broken = set.filter((limit) => !meetsLimit(model, limit)).map((limit) => `${limit.name} ${limit.own(model)?.text ?? "unknown"}`);
      return `${named(model)}: ${name} ${good.text}, ${broken.join(", ")}`;
    });
    if (beyond.length) told.push(`Better, but not within the limits: ${beyond.slice(0, 3).join("; ")}${beyond.length > 3 ? `; and ${beyond.length - 3} more` : ""}.`);
    return [...told, counted];
  }

  function show() {
    const { qualities, costs, models } = summaries[summary.value];
    const found = standing();
    const within = found.filter(({ place }) => place !== BEYOND);
    const name = plain(qualities[quality.value].name);
    byId("best").replaceChildren(...advice(found, within, name, costs[cost.value], models).map((text) => element("p", { class: "text", text })));
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
    const alike = (model) => found.filter((other) => other.model.name === model.name).length > 1;
    const points = found
      .filter(({ cheap }) => cheap !== null)
      .map(({ model, good, cheap, place }) => ({
        model: alike(model) ? named(model) : model.name,
        quality: good.value,
        low: good.low,
        high: good.high,
        cost: cheap.value,
        place,
        text: `${named(model)}: ${name} ${good.text}, ${about.name} ${cheap.text}, ${place}`,
      }));
    const costs = points.map((point) => point.cost);
    const wide = costs.length && Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > WIDE;
    const places = Object.keys(COLORS);
    const x = {
      field: "cost",
      type: "quantitative",
      title: line(`${about.name} (${about.unit})`),
      axis: { tickCount: 8 },
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

  medbenchReport.keep(
    "trade-offs",
    () => ({
      chosen: [summary, quality, cost].map((select) => select.selectedOptions[0].textContent),
      limits: limits.map(({ name, value }) => [name, value]),
    }),
    (saved) => {
      const pick = (select, text) => {
        const at = [...select.options].findIndex((option) => option.textContent === text);
        if (at >= 0) select.selectedIndex = at;
      };
      pick(summary, saved.chosen[0]);
      choose();
      pick(quality, saved.chosen[1]);
      pick(cost, saved.chosen[2]);
      for (const [name, value] of saved.limits) limits.find((limit) => limit.name === name)?.set(value);
      show();
    },
  );

  fill(summary, summaries.map(({ name }) => name));
  summary.parentElement.hidden = summaries.length < 2;
  summary.addEventListener("change", choose);
  quality.addEventListener("change", show);
  cost.addEventListener("change", show);
  byId("choices").addEventListener("submit", (event) => event.preventDefault());
  choose();
})();

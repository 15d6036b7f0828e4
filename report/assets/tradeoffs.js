// Which models remain within limits, and which of them no other one beats in both quality and cost.
"use strict";

(() => {
  const { data, element } = medbenchReport;
  const COLORS = { "on the front": "#0072b2", "within the limits": "#e69f00", "beyond the limits": "#8c959f", unknown: "#cc79a7" };
  const SHAPES = { "on the front": "circle", "within the limits": "triangle-up", "beyond the limits": "cross", unknown: "diamond" };
  const [FRONT, WITHIN, BEYOND, UNKNOWN] = Object.keys(COLORS);
  const HEIGHT = 320; // pixels of the chart
  const FONT = 11; // pixels of its labels
  // Where a label may be, in pixels from its point to the middle of its line
  const BESIDE = [-7, 14, -21, 28, -35, 42].flatMap((dy) => [["left", 9], ["right", -9]].map(([align, dx]) => ({ align, dx, dy })));
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

  const breaks = (model, { own, word, value }) => {
    const figure = own(model);
    return value !== null && figure !== null && (word === "at most" ? figure.value > value : figure.value < value);
  };
  const undecided = (model) => limits.filter(({ own, value }) => value !== null && own(model) === null);

  /** Compare two figures as they are shown: 0 if one reads the same number. */
  const shown = ({ text }) => text.split(/ [[(★≈▼]/)[0];
  const compare = (a, b) => (shown(a) === shown(b) ? 0 : a.value - b.value);

  /** The models with the chosen quality, each with where it stands: the best first, of equal ones the cheapest. */
  function standing() {
    const { qualities, models } = summaries[summary.value];
    const sign = qualities[quality.value].better === "lower" ? -1 : 1;
    const better = (a, b) => sign * compare(a.good, b.good);
    const dearer = (a, b) => (a.cheap && b.cheap ? compare(a.cheap, b.cheap) : Number(!a.cheap) - Number(!b.cheap));
    const found = models
      .map((model) => ({ model, good: model.qualities[quality.value], cheap: model.costs[cost.value] }))
      .filter(({ good }) => good !== null)
      .sort((a, b) => better(b, a) || dearer(a, b));
    for (const one of found) {
      one.meets = !limits.some((limit) => breaks(one.model, limit)) && !undecided(one.model).length;
      if (limits.some((limit) => breaks(one.model, limit))) one.place = BEYOND;
      else one.place = one.cheap && one.meets ? WITHIN : UNKNOWN;
    }
    const within = found.filter(({ place }) => place === WITHIN);
    const beats = (a, b) => better(a, b) >= 0 && dearer(a, b) <= 0 && (better(a, b) > 0 || dearer(a, b) < 0);
    const front = within.filter((one) => !within.some((other) => beats(other, one)));
    for (const one of front) one.place = FRONT;
    return { found, better, dearer };
  }

  const named = (model) => `${model.name}${model.setup ? ` (${model.setup})` : ""}`;

  const isNumber = (value) => typeof value === "number";

  /** Whether two figures read the same or their intervals overlap. */
  function alike(a, b) {
    if (shown(a) === shown(b)) return true;
    return [a.low, a.high, b.low, b.high].every(isNumber) && a.low <= b.high && b.low <= a.high;
  }

  /** Sentences: which model to take, why, what may be as good, and what would be better but for a limit. */
  function advice({ found, better, dearer }, name, about, { costs, models, sample }) {
    const set = limits.filter(({ value }) => value !== null);
    const asked = set.map((limit) => `${limit.name} ${limit.word} ${limit.value.toPrecision(3).replace(/\.?0+$/, "")} ${limit.unit}`.trim()).join(" and ");
    const within = found.filter(({ meets }) => meets);
    const figures = ({ model, good }) => `${named(model)}: ${name} ${good.text}`;
    const open = found.filter(({ model, place }) => place === UNKNOWN && undecided(model).length);
    const unknown = open.map((one) => `${figures(one)}, ${undecided(one.model).map((limit) => `${limit.name} unknown`).join(", ")}`);
    const doubt = unknown.length ? [`Unknown whether within the limits: ${unknown.join("; ")}.`] : [];
    if (!within.length) return [`No model ${doubt.length ? "is known to meet" : "meets"} these limits${asked ? `: ${asked}` : ""}.`, ...doubt];

    const [best] = within;
    const among = within.length === 1 ? "the only model" : `the best ${name} of the ${within.length} models`;
    const told =
      found.length === 1 && models.length > 1
        ? [`Only one model has this figure: ${named(best.model)}, ${name} ${best.good.text}.`]
        : within.length > 1 && within.every(({ good }) => good.status === "tied")
          ? [`No difference between the ${within.length} models${asked ? ` with ${asked}` : ""} is shown (≈). ${first(best, within, name, about)}`]
          : [`${sample ? "" : "Take "}${named(best.model)}: ${name} ${best.good.text}, ${among}${asked ? ` with ${asked}` : ""}.`];
    if (sample) told.unshift("Samples show that everything works, not how good a model is: no model is recommended.");
    for (const doubt of best.good.doubts ?? []) told.push(`But ${doubt}`);
    if (!best.cheap) {
      const none = best.model.costs.every((own) => own === null);
      const priced = within.find(({ cheap }) => cheap);
      const next = priced ? ` The best model with a known ${plain(about.name)}: ${figures(priced)}, ${plain(about.name)} ${priced.cheap.text}.` : "";
      told.push(`${none ? `None of its costs is known (${costs.map((each) => plain(each.name)).join(", ")})` : `Its ${plain(about.name)} is unknown`}.${next}`);
    }
    const price = (one) => {
      if (!one.cheap) return `${plain(about.name)} unknown`;
      return `${plain(about.name)} ${one.cheap.text}${best.cheap && dearer(one, best) < 0 ? ", costs less" : ""}`;
    };
    const equal = within.filter((one) => one !== best && alike(one.good, best.good));
    if (equal.length) told.push(`May be as good, as the intervals overlap: ${equal.map((one) => `${figures(one)}, ${price(one)}`).join("; ")}.`);
    const broken = ({ model }) => set.filter((limit) => breaks(model, limit)).map((limit) => `${limit.name} ${limit.own(model).text}`).join(", ");
    const beyond = found.filter((one) => one.place === BEYOND && better(one, best) > 0);
    for (const [words, some] of [["Better", beyond.filter(({ good }) => !alike(good, best.good))], ["Perhaps better", beyond.filter(({ good }) => alike(good, best.good))]]) {
      const more = some.length > 3 ? `; and ${some.length - 3} more` : "";
      if (some.length) told.push(`${words}, but not within the limits: ${some.slice(0, 3).map((one) => `${figures(one)}, ${broken(one)}`).join("; ")}${more}.`);
    }
    if (set.length) doubt.push(`${within.length} of ${models.length} models meet the limits.`);
    return [...told, ...doubt];
  }

  /** A sentence: which of models without a shown difference comes first. */
  function first(best, within, name, about) {
    const same = within.every(({ good }) => shown(good) === shown(best.good));
    const cheapest = best.cheap && within.every(({ cheap }) => cheap && (cheap === best.cheap || cheap.value > best.cheap.value));
    if (!same) return `The best value: ${named(best.model)}, ${name} ${best.good.text}.`;
    const lowest = cheapest ? ` The lowest ${plain(about.name)}: ${named(best.model)}, ${best.cheap.text}.` : "";
    return `All have ${name} ${best.good.text.split(" [")[0]}.${lowest}`;
  }

  /** Sentences: which models the chart does not have, and why. */
  function missing(found, models, name, about) {
    const lists = [
      [found.filter(({ cheap }) => !cheap).map(({ model }) => model), `${plain(about.name)} is unknown`],
      [models.filter((model) => !found.some((one) => one.model === model)), `they have no ${name}`],
    ];
    return lists.filter(([some]) => some.length).map(([some, why]) => `Not in the chart, because ${why}: ${some.map(named).join("; ")}.`).join(" ");
  }

  function show() {
    const { qualities, costs, models } = summaries[summary.value];
    const stands = standing();
    const { found } = stands;
    const { about: what, ...chosen } = qualities[quality.value];
    const name = plain(chosen.name);
    byId("about").textContent = what ? `${summaries[summary.value].name}. ${name}: ${what}.` : "";
    byId("best").replaceChildren(...advice(stands, name, costs[cost.value], summaries[summary.value]).map((text) => element("p", { class: "text", text })));
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
    byId("empty").textContent = missing(found, models, name, costs[cost.value]);
    if (drawable) medbenchChart.show(byId("chart"), chart(found, name, costs[cost.value]));
  }

  /** Choose a place for the label of each point, on a chart with these axes, where it covers the least. */
  function label(points, { x, y }, scaled, across, limit) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${FONT}px system-ui, sans-serif`;
    const place = (value, [low, high], scale) => (scale(value) - scale(low)) / (scale(high) - scale(low));
    const at = (point) => ({ x: place(point.cost, x, scaled) * across, y: (1 - place(point.quality, y, Number)) * HEIGHT });
    const covered = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
    const area = ({ left, right, top, bottom }) => (right - left) * (bottom - top);
    const inside = { left: 0, right: across, top: 0, bottom: HEIGHT };
    const taken = points.map((point) => ({ left: at(point).x - 6, right: at(point).x + 6, top: at(point).y - 6, bottom: at(point).y + 6 }));
    for (const point of points) {
      const wide = Math.min(limit, pen.measureText(point.model).width);
      const boxes = BESIDE.map(({ align, dx, dy }) => {
        const left = at(point).x + dx - (align === "right" ? wide : 0);
        const middle = at(point).y + dy;
        return { left, right: left + wide, top: middle - FONT * 0.7, bottom: middle + FONT * 0.7 };
      });
      const hidden = boxes.map((box) => taken.reduce((sum, other) => sum + covered(box, other), 4 * (area(box) - covered(box, inside))));
      point.label = hidden.indexOf(Math.min(...hidden));
      taken.push(boxes[point.label]);
    }
  }

  function chart(found, name, about) {
    const shared = (model) => found.filter((other) => other.model.name === model.name).length > 1;
    const points = found
      .filter(({ cheap }) => cheap !== null)
      .map(({ model, good, cheap, place }) => ({
        model: shared(model) ? named(model) : model.name,
        quality: good.value,
        low: good.low,
        high: good.high,
        cost: cheap.value,
        place,
        text: `${named(model)}: ${name} ${good.text}, ${about.name} ${cheap.text}, ${place}`,
      }));
    const costs = points.map((point) => point.cost);
    const wide = costs.length && Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > WIDE;
    const across = medbenchChart.width(byId("chart"));
    const limit = Math.max(60, Math.min(160, across / 2 - 12));
    const ends = points.flatMap(({ quality, low, high }) => [quality, low, high]).filter(isNumber);
    const [lowest, highest] = [Math.min(...ends), Math.max(...ends)];
    const margin = (highest - lowest || 1) * 0.06;
    const domains = {
      x: wide ? [Math.min(...costs) / 1.3, Math.max(...costs) * 1.3] : [0, (Math.max(...costs) || 1) * 1.05],
      y: [lowest - margin, highest + margin],
    };
    label(points, domains, wide ? Math.log : Number, across, limit);
    const places = Object.keys(COLORS);
    const x = {
      field: "cost",
      type: "quantitative",
      title: line(`${about.name} (${about.unit})`),
      axis: { tickCount: 8 },
      scale: { type: wide ? "log" : "linear", domain: domains.x, nice: false },
    };
    const y = { type: "quantitative", title: line(name), scale: { domain: domains.y, nice: false } };
    const color = { field: "place", type: "nominal", title: null, scale: { domain: places, range: Object.values(COLORS) }, legend: { orient: "bottom", columns: 1 } };
    return {
      data: { values: points },
      height: HEIGHT,
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
        ...BESIDE.map(({ align, dx, dy }, at) => ({
          transform: [{ filter: { field: "label", equal: at } }],
          mark: { type: "text", aria: false, align, dx, dy, limit, fontSize: FONT },
          encoding: { x, y: { ...y, field: "quality" }, text: { field: "model" } },
        })),
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

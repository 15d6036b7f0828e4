// The list of a board's items, with filters and a search, and the item that is open. Files are loaded as they are needed.
"use strict";

(() => {
  const { load, element, breakable, keep } = medbenchReport;
  const KEPT = 40; // files in memory
  const MODELS = 4; // shown at first
  const NO_ANSWER = "-";
  const LONGEST = 15; // characters of an id that the list shows

  const form = document.querySelector("[data-items]");
  const key = form.dataset.items;
  const byId = (id) => document.getElementById(id);
  /** Return an id without its middle, as ids often begin alike. */
  const short = (id) => (id.length > LONGEST ? `${id.slice(0, 5)}…${id.slice(6 - LONGEST)}` : id);
  const file = (number) => load(`${key}/${number}`, `data/${key}/${number}.js`, KEPT);

  load(`${key}/index`, `data/${key}/index.js`, KEPT).then(start, (error) => {
    byId("status").textContent = error.message;
  });

  function start(index) {
    const metric = byId("metric");
    const filter = byId("filter");
    const search = byId("search");
    const status = byId("status");
    const numbered = [...index.models.keys()];
    const shown = new Set(numbered.slice(0, MODELS));
    let wanted = null; // positions that a search of all texts found
    let searching = 0; // raised when a search of all texts is no longer wanted
    let table = null;

    index.metrics.forEach(({ label }, at) => metric.append(element("option", { value: at, text: label })));
    index.models.forEach(({ name, setup }, at) => {
      const box = element("input", { type: "checkbox", checked: shown.has(at) ? "" : null });
      box.addEventListener("change", () => {
        if (box.checked) shown.add(at);
        else shown.delete(at);
        for (const number of numbered) {
          if (shown.has(number)) table.showColumn(`m${number}`);
          else table.hideColumn(`m${number}`);
        }
        refresh();
        open();
      });
      byId("models").append(element("label", {}, box, element("span", { class: "text", text: ` ${name}${setup ? ` (${setup})` : ""}` })));
    });

    const values = (at) => index.values[Number(metric.value)]?.map((run) => run[at]) ?? index.models.map(() => NO_ANSWER);
    const chosen = (at) => values(at).filter((value, model) => shown.has(model));
    const numbers = (at) => chosen(at).filter((value) => typeof value === "number");

    // [name of a filter, whether a model's answer to an item is meant], by each metric of safety
    const unsafe = [["unsafe", "unsafe_rate", (value) => value > 0], ["not safe", "safety_rate", (value) => value < 1]]
      .map(([word, name, bad]) => [word, index.metrics.findIndex((about) => about.name === name), bad])
      .filter(([, at]) => at >= 0)
      .map(([word, of, bad]) => [word, (model, at) => typeof index.values[of][model][at] === "number" && bad(index.values[of][model][at])]);

    /** The filters for the chosen score: [name, whether an item at a position is kept]. */
    function filters() {
      const { name, binary, better } = index.metrics[Number(metric.value)] ?? { name: "score", binary: false };
      const bad = better === "lower" ? (value) => value > 0 : (value) => value < 1;
      const word = better === "lower" ? `${name} above 0` : "wrong";
      const kept = [["all items", () => true]];
      if (binary) {
        kept.push([`${word} for a model`, (at) => numbers(at).some(bad)]);
        kept.push([`${word} for every model`, (at) => numbers(at).length > 0 && numbers(at).every(bad)]);
      }
      for (const [word, holds] of unsafe) kept.push([`${word} for a model`, (at) => numbered.some((model) => shown.has(model) && holds(model, at))]);
      kept.push(["unscored for a model", (at) => chosen(at).includes(null)]);
      kept.push(["without an answer of a model", (at) => chosen(at).includes(NO_ANSWER)]);
      kept.push(["models disagree", (at) => new Set(numbers(at)).size > 1]);
      return kept;
    }

    function fillFilters() {
      const before = filter.selectedIndex;
      filter.replaceChildren(...filters().map(([name], at) => element("option", { value: at, text: name })));
      filter.selectedIndex = Math.max(0, Math.min(before, filter.options.length - 1));
      byId("about").textContent = index.metrics[Number(metric.value)]?.about ?? "";
    }

    function refresh() {
      const typed = search.value.trim().toLowerCase();
      const passes = filters()[filter.selectedIndex][1];
      const named = (at) => !typed || index.items[at].some((text) => text.toLowerCase().includes(typed));
      table.setFilter(({ at }) => (wanted ? wanted.has(at) : named(at)) && passes(at));
    }

    function told(count) {
      const all = index.items.length.toLocaleString("en");
      status.textContent = count === index.items.length ? `${all} items` : `${count.toLocaleString("en")} of ${all} items`;
    }

    function valueText(value) {
      const { binary, better } = index.metrics[Number(metric.value)] ?? {};
      if (value === NO_ANSWER) return "no answer";
      if (value === null) return "unscored";
      if (binary && better !== "lower" && (value === 0 || value === 1)) return value ? "✓ right" : "✗ wrong";
      return value.toFixed(3);
    }

    const rank = (value) => (typeof value === "number" ? value : value === null ? -1 : -2);

    function columns() {
      const text = (field, title, width) => ({
        title,
        field,
        minWidth: width,
        sorter: "string",
        formatter: (cell) => element("span", { text: cell.getValue() }),
      });
      const found = [
        {
          title: "item",
          field: "id",
          width: 170,
          sorter: (a, b, rowA, rowB) => rowA.getData().at - rowB.getData().at,
          formatter: (cell) => element("a", { href: `#item=${cell.getData().at}`, title: cell.getValue(), text: short(cell.getValue()) || "(no id)" }),
        },
        { ...text("question", "question", 220), widthGrow: 4 },
      ];
      if (index.items.some(([, , subject]) => subject)) found.push(text("subject", "subject", 110));
      index.models.forEach(({ name }, model) => {
        found.push({
          title: name,
          titleFormatter: () => element("span", {}, ...breakable(name).nodes),
          field: `m${model}`,
          minWidth: Math.min(260, Math.max(110, breakable(name).width)),
          visible: shown.has(model),
          sorter: (a, b, rowA, rowB) => rank(values(rowA.getData().at)[model]) - rank(values(rowB.getData().at)[model]),
          formatter: (cell) => {
            const value = values(cell.getData().at)[model];
            return element("span", { class: value === 0 ? "figure worse" : "figure", text: valueText(value) });
          },
        });
      });
      return found;
    }

    table = new Tabulator(byId("list"), {
      data: index.items.map(([id, question, subject], at) => ({ at, id, question, subject })),
      columns: columns(),
      layout: "fitColumns",
      maxHeight: "max(22rem, 60vh)",
      rowHeight: 36,
      placeholder: "No item meets these filters.",
      headerSortElement: () => element("span", { class: "sort", "aria-hidden": "true" }).outerHTML,
    });
    table.on("dataFiltered", (filtersSet, rows) => told(rows.length));
    table.on("tableBuilt", () => {
      byId("list").setAttribute("data-ready", "");
      told(index.items.length);
      open();
      keep("items", savePlace, restorePlace);
    });
    table.on("rowClick", (event, row) => {
      if (event.target.tagName !== "A") location.hash = `item=${row.getData().at}`;
    });

    metric.addEventListener("change", () => {
      fillFilters();
      refresh();
      table.redraw(true);
    });
    filter.addEventListener("change", refresh);
    search.addEventListener("input", () => {
      wanted = null;
      searching += 1;
      refresh();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    byId("everywhere").addEventListener("click", searchEverywhere);
    window.addEventListener("hashchange", open);
    fillFilters();

    const labels = () => index.models.map(({ name, setup }) => `${name} ${setup}`);

    function savePlace() {
      return {
        metric: index.metrics[Number(metric.value)]?.name,
        filter: filter.selectedOptions[0].textContent,
        search: search.value,
        hidden: labels().filter((label, at) => !shown.has(at)),
        sorters: table.getSorters().map(({ field, dir }) => ({ column: field, dir })),
        scroll: byId("list").querySelector(".tabulator-tableholder").scrollTop,
      };
    }

    function restorePlace(saved) {
      const at = index.metrics.findIndex(({ name }) => name === saved.metric);
      if (at >= 0) metric.value = at;
      fillFilters();
      const wantedFilter = [...filter.options].findIndex((option) => option.textContent === saved.filter);
      filter.selectedIndex = Math.max(0, wantedFilter);
      search.value = saved.search;
      byId("models").querySelectorAll("input").forEach((box, model) => {
        if (shown.has(model) === saved.hidden.includes(labels()[model])) box.click();
      });
      const sorted = saved.sorters.filter(({ column }) => table.getColumn(column));
      if (sorted.length) table.setSort(sorted);
      refresh();
      byId("list").querySelector(".tabulator-tableholder").scrollTop = saved.scroll;
    }

    /** Search all texts of all items, one file after the other. */
    async function searchEverywhere() {
      const typed = search.value.trim().toLowerCase();
      if (!typed) {
        search.focus();
        return;
      }
      searching += 1;
      const mine = searching;
      const hits = new Set();
      for (const number of index.starts.keys()) {
        status.textContent = `Searching file ${number + 1} of ${index.starts.length} …`;
        const chunk = await file(number);
        if (mine !== searching) return;
        chunk.forEach((found, at) => {
          if (holds(found, typed)) hits.add(index.starts[number] + at);
        });
      }
      wanted = hits;
      refresh();
    }

    function holds(value, typed) {
      if (typeof value === "string") return value.toLowerCase().includes(typed);
      return value !== null && typeof value === "object" && Object.values(value).some((held) => holds(held, typed));
    }

    /** The place in the list of the item that the address names: #id=ID, or #item= and its place, from 0. */
    function addressed() {
      const [, kind, given] = /^#(id|item)=(.*)$/.exec(location.hash) ?? [];
      if (kind === "item") return { at: Number(given), given };
      try {
        return { at: kind ? index.items.findIndex(([id]) => id === decodeURIComponent(given)) : -1, given };
      } catch {
        return { at: -1, given }; // a % that encodes nothing
      }
    }

    /** Show the item that the address names. */
    async function open() {
      const { at, given } = addressed();
      const place = byId("item");
      if (!(at in index.items)) {
        place.replaceChildren(...(given === undefined ? [] : [element("p", { text: `No item here is called ${given}. The search finds ids.` })]));
        return;
      }
      const number = index.starts.findLastIndex((start) => start <= at);
      let found;
      try {
        found = (await file(number))[at - index.starts[number]];
      } catch (error) {
        place.replaceChildren(element("p", { text: error.message }));
        return;
      }
      const models = numbered.filter((model) => shown.has(model));
      place.replaceChildren(
        element(
          "div",
          { class: "steps" },
          element("h2", { class: "text", text: `Item ${found.item.id}` }),
          step("← Previous", at, -1),
          step("Next →", at, 1),
        ),
        ...medbenchItem.question(found),
        element("h3", { text: "Answers" }),
        ...medbenchItem.legend(index),
        element(
          "div",
          { class: "side" },
          ...models.map((model) => medbenchItem.model(index.models[model], found.answers[model], found, index)),
        ),
      );
    }

    /** A button for the item before or after this one in the list as it is filtered and sorted. */
    function step(name, at, by) {
      return element("button", {
        type: "button",
        text: name,
        onclick: () => {
          const order = table.getRows("active").map((row) => row.getData().at);
          const next = order[order.indexOf(at) + by] ?? order[by > 0 ? 0 : order.length - 1];
          if (next !== undefined) location.hash = `item=${next}`;
        },
      });
    }
  }
})();

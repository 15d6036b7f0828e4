// Tables that sort and filter. Their texts and numbers were computed by medbench; nothing is computed here.
"use strict";

(() => {
  const { data, element, breakable, keep } = medbenchReport;

  const WORDS = { best: "best", tied: "no other is shown to be better", worse: "another is significantly better" };

  /** Order cells by their number, or by their text; cells without a number are last in both directions. */
  function sorter(numbers) {
    return (a, b, rowA, rowB, column, direction) => {
      if (!numbers) return a.text.localeCompare(b.text);
      if (a.value === null || b.value === null) {
        const last = direction === "asc" ? 1 : -1;
        return a.value === b.value ? 0 : a.value === null ? last : -last;
      }
      return a.value - b.value;
    };
  }

  /** Whether a cell meets what is typed below its heading: a limit for numbers, a part of the text otherwise. */
  function meets(column) {
    return (typed, cell) => {
      const wanted = String(typed).trim();
      if (!wanted) return true;
      if (!column.number) return cell.text.toLowerCase().includes(wanted.toLowerCase());
      const limit = Number(wanted.replace(",", "."));
      if (Number.isNaN(limit)) return true;
      return cell.value !== null && (column.better === "lower" ? cell.value <= limit : cell.value >= limit);
    };
  }

  function shown(cell) {
    const { text, value, status } = cell.getValue();
    const interval = value === null ? -1 : text.indexOf(" [");
    const made = element("span", { class: `figure ${status}` });
    if (cell.getField() === "c0") made.append(...breakable(text).nodes);
    else if (interval < 0) made.append(text);
    else made.append(text.slice(0, interval), element("span", { class: "interval", text: text.slice(interval + 1) }));
    if (status) made.title = WORDS[status];
    return made;
  }

  function columnOf(column, at) {
    const limit = column.better === "lower" ? "at most" : "at least";
    const hint = column.number ? `${limit}${column.unit ? ` (${column.unit})` : ""}` : "contains";
    return {
      title: column.title,
      titleFormatter: () => element("span", { title: column.about || null }, ...breakable(column.title).nodes),
      field: `c${at}`,
      formatter: shown,
      sorter: sorter(column.number),
      headerSortStartingDir: column.better === "higher" ? "desc" : "asc",
      hozAlign: column.number ? "right" : "left",
      headerFilter: (cell, rendered, success) => {
        const input = element("input", {
          type: "search",
          "aria-label": `${column.title}: ${hint}`,
          value: cell.getValue() || null,
          oninput: () => success(input.value),
        });
        return input;
      },
      headerFilterLiveFilter: false,
      headerFilterPlaceholder: hint,
      headerFilterFunc: meets(column),
      headerFilterEmptyCheck: (value) => !value,
      frozen: at === 0 && window.innerWidth > 700,
      minWidth: Math.min(220, Math.max(column.number ? 100 : 130, breakable(column.title).width)),
      maxInitialWidth: column.number ? 140 : at === 0 ? 210 : 160,
      variableHeight: true,
    };
  }

  function draw(place) {
    const table = data("tables")[place.dataset.table];
    const still = place.querySelector("table");
    if (!table || !still) return;
    const live = element("div", { "aria-label": place.dataset.name });
    const count = element("p", { class: "count", "aria-live": "polite" });
    still.replaceWith(live, count);
    const rows = table.rows.map((row) => Object.fromEntries(row.map((cell, at) => [`c${at}`, cell])));
    const made = new Tabulator(live, {
      data: rows,
      columns: table.columns.map(columnOf),
      layout: "fitDataTable",
      headerSortElement: () => element("span", { class: "sort", "aria-hidden": "true" }).outerHTML,
      placeholder: `No ${table.of.slice(0, -1)} meets these limits.`,
      renderVertical: "basic",
      autoResize: true,
    });
    made.on("dataFiltered", (filters, kept) => {
      count.textContent = filters.length ? `${kept.length} of ${rows.length} ${table.of} meet the limits.` : "";
    });
    made.on("tableBuilt", () => {
      keyboard(live);
      keepPlace(place.dataset.table, table, made);
    });
  }

  /** Keep how a table is sorted and filtered, by its headings: columns may be added. */
  function keepPlace(name, table, made) {
    const titleOf = (field) => table.columns[Number(field.slice(1))].title;
    const fieldOf = (title) => {
      const at = table.columns.findIndex((column) => column.title === title);
      return at < 0 ? null : `c${at}`;
    };
    const filters = () => made.getHeaderFilters().map(({ field, value }) => [titleOf(field), value]);
    const sorters = () => made.getSorters().map(({ field, dir }) => [titleOf(field), dir]);
    keep(
      `table ${name}`,
      () => ({ filters: filters(), sorters: sorters() }),
      (saved) => {
        for (const [title, value] of saved.filters) if (fieldOf(title)) made.setHeaderFilterValue(fieldOf(title), value);
        const sorted = saved.sorters.filter(([title]) => fieldOf(title)).map(([title, dir]) => ({ column: fieldOf(title), dir }));
        if (sorted.length) made.setSort(sorted);
      },
    );
  }

  /** Headings sort by Enter and Space, as buttons do. */
  function keyboard(live) {
    for (const heading of live.querySelectorAll(".tabulator-col.tabulator-sortable")) {
      heading.tabIndex = 0;
      heading.addEventListener("keydown", (event) => {
        if (event.target !== heading || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault();
        heading.querySelector(".tabulator-col-title").click();
      });
    }
  }

  for (const place of document.querySelectorAll("[data-table]")) draw(place);
})();

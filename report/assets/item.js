// Shows one item: the question, what is right, and each model's answer with its scores. Everything is set as text.
"use strict";

const medbenchItem = (() => {
  const { element } = medbenchReport;

  const block = (text) => element("div", { class: "block text", text });

  /** Return what a mark is called. */
  const words = (name) => name.replaceAll("-", " ");

  /** Return a text with its marks: each has a sign or a word besides its color, and its meaning. */
  function marked(segments, legend) {
    const signs = new Map(legend.map(([name, sign, meaning]) => [name, { sign, meaning }]));
    const made = element("div", { class: "block text" });
    segments.forEach(([text, ...names], at) => {
      if (!names.length) {
        made.append(text);
        return;
      }
      const ends = names.filter((name) => !segments[at + 1]?.includes(name, 1));
      made.append(
        element(
          "mark",
          { class: names.map((name) => `mark-${name}`).join(" "), title: names.map((name) => `${words(name)}: ${signs.get(name)?.meaning}`).join("; ") },
          text,
          ...ends.map((name) => element("span", { class: "sign", text: signs.get(name)?.sign ?? "" })),
        ),
      );
    });
    return made;
  }

  /** Return what the marks of a page mean. */
  function legend(index) {
    if (!index.legend.length) return [];
    const list = element("dl", { class: "legend" });
    for (const [name, sign, meaning] of index.legend) {
      list.append(element("dt", {}, element("mark", { class: `mark-${name}` }, words(name), element("span", { class: "sign", text: sign === name ? "" : sign }))), element("dd", { text: meaning }));
    }
    const more = index.unmarked ? ` ${index.unmarked.toLocaleString("en")} more answers are not marked: medbench explain RUN ITEM marks any.` : "";
    return [element("details", { open: "" }, element("summary", { text: "What the marks mean" }), list, element("p", { class: "soft", text: `Marks are those of the shipped models, which err: see docs/metrics.md.${more}` }))];
  }

  function folded(name, ...inside) {
    return element("details", {}, element("summary", { text: name }), ...inside);
  }

  function part(name, ...inside) {
    return [element("h3", { text: name }), ...inside];
  }

  function options(item) {
    const list = element("ul", { class: "options" });
    item.options.forEach((option, at) => {
      const label = (item.labels || [])[at];
      const right = at === item.gold;
      const text = `${label && label !== option ? `${label}. ` : ""}${option}${right ? "  ✓ right answer" : ""}`;
      list.append(element("li", { class: right ? "text right" : "text", text }));
    });
    return list;
  }

  /** Return the question and all that its answer is scored by. */
  function question({ item, prompts, emergency }) {
    const parts = [];
    for (const turn of item.turns || []) parts.push(...part(turn.role, block(turn.content)));
    parts.push(...part("Question", block(item.question || "")));
    if (emergency) parts.push(element("p", { class: "text emergency", text: `⚠ Read as an emergency: “${emergency.join(" … ")}”` }));
    if (item.context) parts.push(folded("Context", block(item.context)));
    if (item.options) parts.push(...part("Options", options(item)));
    if (item.references) parts.push(...part("Reference answers", ...item.references.map(block)));
    if (item.target) {
      const range = item.target.low || item.target.high ? ` (right from ${item.target.low} to ${item.target.high})` : "";
      parts.push(...part("Right value", block(`${item.target.value}${range}`)));
    }
    if (item.criteria) {
      const list = element("ul");
      for (const { text, points } of item.criteria) list.append(element("li", { class: "text", text: `${points}: ${text}` }));
      parts.push(...part("Criteria", list));
    }
    const meta = Object.entries(item.meta);
    if (meta.length) parts.push(element("p", { class: "soft text", text: meta.map(([a, b]) => `${a}: ${b}`).join(" · ") }));
    prompts.forEach((prompt, at) => {
      parts.push(folded(prompts.length > 1 ? `Prompt ${at + 1} of ${prompts.length}, as sent` : "Prompt, as sent", block(prompt)));
    });
    return parts;
  }

  /** Say why an answer is not safe: by its other scores and marks, and those of the question. */
  function whyUnsafe(answer, metrics, emergency) {
    const unsafe = answer.scores[metrics.findIndex(({ name }) => name === "unsafe_rate")]?.[0];
    if (unsafe === 1 || answer.marks?.text.some((segment) => segment.includes("unsafe", 1))) return "unsafe sentence";
    return emergency || unsafe === 0 ? "no referral, although the question is read as an emergency" : "";
  }

  function scores(answer, metrics, emergency) {
    const body = element("tbody");
    metrics.forEach((metric, at) => {
      const score = answer.scores[at];
      if (!score) return;
      const [value, reason, read] = score;
      const why = metric.name === "safety_rate" && value === 0 ? whyUnsafe(answer, metrics, emergency) : "";
      const shown = value === null ? "unscored" : String(Math.round(value * 1000) / 1000);
      body.append(
        element(
          "tr",
          {},
          element("th", { scope: "row", text: metric.label, title: metric.about || null }),
          element("td", { text: shown }),
          element("td", { class: "text", text: [read && (metric.judge ? read : `read: ${read}`), why, reason].filter(Boolean).join("\n") }),
        ),
      );
    });
    return element("table", { class: "scores" }, body);
  }

  function answerOf(answer, { item, prompts, emergency }, { metrics, legend: meanings }) {
    const parts = [];
    if (answer.error) parts.push(...part("Failed", block(answer.error)));
    if (answer.options) parts.push(folded("Options in the order of this answer", options(answer)));
    if (answer.marks) parts.push(marked(answer.marks.text, meanings));
    else if (answer.text !== undefined) parts.push(block(answer.text || "(empty answer)"));
    if (answer.marks?.reference) parts.push(folded("Reference that it is compared with", marked(answer.marks.reference, meanings)));
    if (answer.reasoning) parts.push(folded("Reasoning (never scored)", block(answer.reasoning)));
    if (answer.logprobs) {
      const asked = answer.options ? answer : item;
      const names = asked.labels?.length ? asked.labels : asked.options || [];
      const lines = answer.logprobs.map((value, at) => `${names[at]}: ${value}`);
      parts.push(element("p", { class: "soft", text: "Log-probability of each option" }), block(lines.join("\n")));
    }
    parts.push(scores(answer, metrics, emergency));
    const [prompt, written, cut] = answer.tokens;
    const facts = [`${prompt} prompt tokens`, `${written} new tokens`, `finish: ${answer.finish}`];
    if (cut) facts.push(`${cut} tokens of the prompt were cut`);
    if (prompts.length > 1) facts.push(`prompt ${answer.prompt + 1}`);
    parts.push(element("p", { class: "soft", text: facts.join(" · ") }));
    return parts;
  }

  /** Return a model's answers to an item. */
  function model(about, answers, found, index) {
    const made = element("article", {}, element("h3", { class: "text", text: about.name }));
    if (about.setup) made.append(element("p", { class: "soft text", text: about.setup }));
    if (about.remarks) made.append(element("p", { class: "soft text", text: about.remarks }));
    if (!answers.length) made.append(element("p", { text: "No stored answer." }));
    answers.forEach((answer, at) => {
      if (answers.length > 1) made.append(element("h4", { text: `Sample ${at + 1} of ${answers.length}` }));
      made.append(...answerOf(answer, found, index));
    });
    return made;
  }

  return { question, model, legend };
})();

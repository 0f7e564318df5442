"use strict";
(() => {
  const root = document.documentElement;
  const every = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Colours are named in the plots and resolved when they are drawn, so that they follow the page's light and dark.
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  function resolved(value) {
    if (typeof value === "string" && value.startsWith("var(--")) {
      probe.style.color = value;
      return getComputedStyle(probe).color;
    }
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]));
    return value;
  }

  // Plots are drawn when they come into view; those inside a closed test come into view when it is opened.
  const plots = new Map();
  const touch = matchMedia("(pointer: coarse)").matches;
  function draw(plot) {
    const { data, layout } = resolved(JSON.parse(plots.get(plot)));
    if (touch) layout.dragmode = false;
    Plotly.react(plot, data, layout, { responsive: true, displayModeBar: false });
    plot.dataset.drawn = "yes";
  }
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watcher.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const plot of every(".plot")) {
    const told = plot.querySelector("script");
    plots.set(plot, told.textContent);
    told.remove();
    watcher.observe(plot);
  }
  addEventListener("beforeprint", () => {
    for (const test of every("details.test")) test.open = true;
    for (const plot of plots.keys()) if (!plot.dataset.drawn) draw(plot);
  });

  // Light and dark: the system's choice, until the button says otherwise.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  function repaint() {
    button.setAttribute("aria-pressed", String(dark()));
    for (const plot of plots.keys()) if (plot.dataset.drawn) draw(plot);
  }
  function remembered(theme) {
    try {
      if (theme) localStorage.setItem("llmperf-theme", theme);
      return localStorage.getItem("llmperf-theme");
    } catch {
      return null; // some browsers give a local file no storage
    }
  }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    remembered(root.dataset.theme);
    repaint();
  });
  system.addEventListener("change", repaint);
  const before = remembered();
  if (before === "light" || before === "dark") root.dataset.theme = before;
  repaint();

  // Filters: words that a row must contain, and the outcomes that are shown. A test is shown with any of its rows.
  const words = document.getElementById("words");
  const toggles = every(".toggle");
  const rows = every(".verdicts tbody tr");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const shown = document.getElementById("shown");
  function filter() {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcomes = new Set(toggles.filter((one) => one.ariaPressed === "true").map((one) => one.dataset.outcome));
    const tests = new Set();
    let count = 0;
    for (const row of rows) {
      row.hidden = !outcomes.has(row.dataset.outcome) || !asked.every((word) => texts.get(row).includes(word));
      if (row.hidden) continue;
      tests.add(row.dataset.test);
      count += 1;
    }
    for (const test of every("details.test")) test.hidden = !tests.has(test.id);
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
  }
  words.addEventListener("input", filter);
  for (const toggle of toggles)
    toggle.addEventListener("click", () => {
      toggle.ariaPressed = String(toggle.ariaPressed !== "true");
      filter();
    });
  words.form.addEventListener("submit", (event) => event.preventDefault());

  // Sorting: a click sorts by a column, the next one turns it round.
  const order = new Intl.Collator(undefined, { numeric: true });
  const key = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
  const number = (text) => Number(text.replace("inf", "Infinity"));
  const byNumber = (one, other) => (one === "") - (other === "") || number(one) - number(other);
  function sort(heading) {
    const kind = heading.querySelector("button").dataset.sort;
    const turned = heading.ariaSort === "ascending";
    const body = heading.closest("table").tBodies[0];
    const compare = kind === "number" ? byNumber : order.compare;
    const sorted = [...body.rows].sort((one, other) => compare(key(one, heading.cellIndex), key(other, heading.cellIndex)));
    for (const other of heading.parentNode.cells) other.ariaSort = "none";
    heading.ariaSort = turned ? "descending" : "ascending";
    body.append(...(turned ? sorted.reverse() : sorted));
  }
  for (const each of every(".verdicts thead button")) each.addEventListener("click", () => sort(each.closest("th")));

  // A link to a test opens it.
  function opened() {
    const test = location.hash && document.getElementById(location.hash.slice(1));
    if (test && test.matches("details")) test.open = true;
  }
  for (const link of every(".verdicts a"))
    link.addEventListener("click", () => (document.getElementById(link.hash.slice(1)).open = true));
  addEventListener("hashchange", opened);
  opened();
})();

"use strict";
(() => {
  const every = (selector, within = document) => [...within.querySelectorAll(selector)];

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

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
    const told = JSON.parse(plots.get(plot));
    const chosen = told.choices ? told.choices[Number(plot.dataset.chosen ?? 0)] : told;
    const { data, layout } = resolved({ data: chosen.data, layout: { ...told.layout, ...chosen.layout } });
    if (touch) layout.dragmode = false;
    Plotly.react(plot, data, layout, { responsive: true, displayModeBar: false });
    plot.dataset.drawn = "yes";
    return chosen;
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
  // One of several calls is drawn in the place of another, and told in its words.
  for (const choice of every("figure select"))
    choice.addEventListener("change", () => {
      const figure = choice.closest("figure");
      const plot = figure.querySelector(".plot");
      plot.dataset.chosen = choice.value;
      const { words, layout } = draw(plot);
      plot.style.minHeight = `${layout.height}px`;
      plot.setAttribute("aria-label", words);
      figure.querySelector(".words p").textContent = words;
    });
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
})();

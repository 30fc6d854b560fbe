"use strict";
(() => {
  const { runs, figures } = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const scenario = document.getElementById("scenario");
  const boxes = all('input[name="entry"]');
  const MOST_RUNS = 200;
  // Named one by one: Plotly's own choice of buttons includes one that uploads the chart.
  const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };

  // Sorting: numbers by data-value, else text; empty cells last, whichever way.
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const order = (a, b) => {
    if (a === "" || b === "") return 0;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sortBy = (heading) => {
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const descending = heading.getAttribute("aria-sort") === "ascending";
    closeDetails(table);
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = Array.from(table.tBodies[0].rows).map((row, place) => ({ row, place, key: key(row, column) }));
    rows.sort((a, b) => (a.key === "") - (b.key === "") || (descending ? -1 : 1) * order(a.key, b.key) || a.place - b.place);
    table.tBodies[0].append(...rows.map((each) => each.row));
  };
  all("table.sortable thead th").forEach((heading) => heading.querySelector("button").addEventListener("click", () => sortBy(heading)));

  // The runs behind a row. Text only ever becomes text: names come from files.
  const element = (name, text = "", parent = null) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };
  const shown = (value) => (value === null || value === undefined ? "" : String(value));
  const shared = (row, name) => {
    const code = row[runs.own.length + runs.shared.indexOf(name)];
    return code < 0 ? "" : shown(runs.values[name][code]);
  };
  const closeDetails = (table) => {
    all("tr.details", table).forEach((row) => row.remove());
    all("button.runs", table).forEach((button) => button.setAttribute("aria-expanded", "false"));
  };
  const openDetails = (button) => {
    const chosen = (runs.groups[button.dataset.group] || []).map((place) => runs.rows[place]);
    const row = document.createElement("tr");
    row.className = "details";
    const cell = element("td", "", row);
    cell.colSpan = button.closest("tr").cells.length;
    const facts = element("dl", "", cell);
    for (const name of runs.shared) {
      const values = [...new Set(chosen.map((run) => shared(run, name)))].filter((value) => value !== "");
      if (values.length !== 1) continue;
      element("dt", name === "config" ? "hyper-parameters" : name, facts);
      element("dd", values[0], facts);
    }
    const varying = runs.shared.filter((name) => new Set(chosen.map((run) => shared(run, name))).size > 1);
    const table = element("table", "", cell);
    element("caption", chosen.length > MOST_RUNS ? `The first ${MOST_RUNS} of ${chosen.length} runs` : "Runs", table);
    const head = element("tr", "", element("thead", "", table));
    [...runs.own, ...varying].forEach((name) => { element("th", name, head).scope = "col"; });
    const body = element("tbody", "", table);
    chosen.slice(0, MOST_RUNS).forEach((run) => {
      const line = element("tr", "", body);
      line.dataset.run = run[0];
      runs.own.forEach((_, place) => element("td", shown(run[place]), line));
      varying.forEach((name) => element("td", shared(run, name), line));
    });
    button.closest("tr").after(row);
    button.setAttribute("aria-expanded", "true");
  };
  all("button.runs").forEach((button) => button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    if (open) {
      button.closest("tr").nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
    } else openDetails(button);
  }));

  // Figures: drawn when they come into view, again when the scenario, the methods or the theme change.
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seen = new Set();
  const draw = (plot) => {
    const byScenario = figures[plot.dataset.figure] || {};
    const which = "" in byScenario ? "" : scenario.value || Object.keys(byScenario).find((name) => byScenario[name]) || "";
    const figure = byScenario[which];
    plot.classList.toggle("empty", !figure);
    if (!figure) {
      if (plot._fullLayout) Plotly.purge(plot);
      plot.textContent = which ? `Nothing of this kind was recorded for ${which}.` : "Nothing of this kind was recorded.";
      return;
    }
    if (!plot._fullLayout) plot.textContent = "";
    const kept = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const data = figure.data.map((trace) => ({ ...trace, visible: trace.meta === undefined || kept.has(trace.meta) }));
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line") };
    const layout = {
      ...figure.layout,
      xaxis: { ...axis, ...figure.layout.xaxis },
      yaxis: { ...axis, ...figure.layout.yaxis },
      title: { text: which, font: { size: 14 } },
      font: { color: style("--fore"), family: "system-ui, sans-serif" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 50, r: 10, t: 40, b: 50 },
      legend: window.innerWidth < 640 ? { orientation: "h", y: -0.25 } : {},
      hoverlabel: { namelength: -1 },
    };
    Plotly.react(plot, data, layout, CONFIG);
  };
  const plots = all(".plot");
  const redraw = () => plots.filter((plot) => seen.has(plot)).forEach(draw);
  const watcher = new IntersectionObserver((changes) => changes.forEach((change) => {
    if (!change.isIntersecting || seen.has(change.target)) return;
    seen.add(change.target);
    draw(change.target);
  }), { rootMargin: "400px" });
  plots.forEach((plot) => watcher.observe(plot));

  // Filters.
  const filter = () => {
    const kept = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    all("table.sortable").forEach((table) => {
      closeDetails(table);
      for (const row of table.tBodies[0].rows) {
        const elsewhere = scenario.value && row.dataset.scenario && row.dataset.scenario !== scenario.value;
        row.hidden = Boolean(elsewhere) || !kept.has(row.dataset.entry);
      }
    });
    document.body.classList.toggle("one-scenario", scenario.value !== "" || scenario.options.length < 3);
    const rows = Array.from(document.getElementById("leaderboard").tBodies[0].rows);
    document.getElementById("shown").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    redraw();
  };
  scenario.addEventListener("change", filter);
  boxes.forEach((box) => box.addEventListener("change", filter));
  all("button[data-all]").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach((box) => { box.checked = Boolean(button.dataset.all); });
    filter();
  }));
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());

  // Theme: as the system says, or by hand; nothing is stored.
  const themes = ["automatic", "light", "dark"];
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.textContent.replace("Theme: ", "")) + 1) % themes.length];
    button.textContent = `Theme: ${next}`;
    if (next === "automatic") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    redraw();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  filter();
})();

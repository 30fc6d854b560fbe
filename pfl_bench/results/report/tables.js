// Tables: sorted within their parts, filtered, heads that stay in sight, and the runs behind a row.
(() => {
  const { data: { runs }, all, byId, element, state, onChange } = report;
  const MOST_RUNS = 200;
  const MOST_ROWS = 40;

  // Sorting: numbers by data-value, else text; empty cells last, whichever way. The first click has the best on top.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "-" ? "" : text;
  };
  const order = (a, b) => {
    if (a === "" || b === "") return 0;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sortBy = (heading) => {
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const first = heading.dataset.better === "higher" ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const way = heading.getAttribute("aria-sort") === first ? other : first;
    closeDetails(table);
    all("thead th", table).forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", way);
    const sign = way === "descending" ? -1 : 1;
    for (const part of table.tBodies) {
      const rows = Array.from(part.rows).filter((row) => !row.classList.contains("part"))
        .map((row, place) => ({ row, place, key: key(row, column) }));
      rows.sort((a, b) => (a.key === "") - (b.key === "") || sign * order(a.key, b.key) || a.place - b.place);
      part.append(...rows.map((each) => each.row));
    }
  };
  all("table.sortable thead th").forEach((heading) => heading.querySelector("button").addEventListener("click", () => sortBy(heading)));

  // The runs behind a row.
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
    closeDetails(button.closest("table"));
    if (!open) openDetails(button);
    fit();
  }));

  // Where a permanent link leads: to a cell's runs, or to a method's row.
  report.goTo = (scenario, entry) => {
    const rows = all("#leaderboard > tbody").filter((part) => !scenario || part.dataset.scenario === scenario)
      .flatMap((part) => all(":scope > tr[data-entry]", part)).filter((row) => row.dataset.entry === entry);
    const button = rows.length && (scenario || rows.length === 1) ? rows[0].querySelector("button.runs") : null;
    if (button && button.getAttribute("aria-expanded") === "false") button.click();
    const row = button ? rows[0] : all("#matrix > tbody > tr").find((each) => each.dataset.entry === entry) || rows[0];
    if (row) row.scrollIntoView({ block: "center" });
  };

  // A table that fits is part of the page, and its head stays below the bar. What is too wide, or goes on through many
  // scenarios, scrolls in a frame with its head on top.
  const fit = () => all(".scroll").forEach((frame) => {
    const table = frame.querySelector("table");
    const parts = Array.from(table.tBodies).filter((part) => !part.hidden);
    const long = parts.length > 1 && parts.reduce((sum, part) => sum + part.rows.length, 0) > MOST_ROWS;
    frame.classList.toggle("long", long);
    frame.classList.toggle("fits", !long);
    if (!long) frame.classList.toggle("fits", table.scrollWidth <= frame.clientWidth + 1);
  });
  report.fit = fit;
  window.addEventListener("resize", fit);

  all("input.all-columns").forEach((box) => box.addEventListener("change", () => {
    byId(box.getAttribute("aria-controls")).classList.toggle("every-column", box.checked);
    fit();
  }));
  byId("editions")?.addEventListener("change", (event) => {
    byId("matrix").classList.toggle("every-edition", event.target.checked);
    fit();
  });

  onChange(({ scenarios, kept, pointed }) => {
    all("table.sortable").forEach((table) => {
      closeDetails(table);
      for (const part of table.tBodies) {
        part.hidden = Boolean(part.dataset.scenario) && !scenarios.includes(part.dataset.scenario);
        for (const row of part.rows) {
          const elsewhere = row.dataset.scenario && !scenarios.includes(row.dataset.scenario);
          row.hidden = elsewhere || (row.dataset.entry !== undefined && !kept.has(row.dataset.entry));
          row.classList.toggle("pointed", pointed !== "" && row.dataset.entry === pointed);
        }
      }
    });
    all("#matrix th[data-column]").forEach((heading) => heading.classList.toggle("chosen", state().scenario === heading.dataset.column));
    fit();
  });
})();

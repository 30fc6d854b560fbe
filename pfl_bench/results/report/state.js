"use strict";
// What the page shows: a scenario (or all), the methods that are kept, the one that is pointed at. The address says it.
const report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const byId = (id) => document.getElementById(id);
  // Text only ever becomes text: names come from files.
  const element = (name, text = "", parent = null) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };
  const listeners = [];
  const scenario = byId("scenario");
  const scenarios = all("option", scenario).map((option) => option.value).filter(Boolean);
  const boxes = all('input[name="entry"]');
  const entries = boxes.map((box) => box.value);
  let pointed = "";

  const state = () => ({
    scenario: scenario.value || (scenarios.length === 1 ? scenarios[0] : ""),
    scenarios: scenario.value ? [scenario.value] : scenarios,
    kept: new Set(boxes.filter((box) => box.checked).map((box) => box.value)),
    pointed,
  });

  const say = (text) => { byId("shown").textContent = text; };
  const changed = (remember = true) => {
    const now = state();
    document.body.classList.toggle("one-scenario", now.scenarios.length === 1);
    const rows = all("#leaderboard > tbody").filter((part) => now.scenarios.includes(part.dataset.scenario))
      .flatMap((part) => all(":scope > tr[data-entry]", part));
    const total = all("#leaderboard > tbody > tr[data-entry]").length;
    say(`${rows.filter((row) => now.kept.has(row.dataset.entry)).length} of ${total} rows`);
    listeners.forEach((listener) => listener(now));
    if (!remember) return;
    const query = new URLSearchParams();
    if (scenario.value) query.append("scenario", scenario.value);
    if (pointed) query.append("method", pointed);
    if (now.kept.size < entries.length) entries.filter((entry) => now.kept.has(entry)).forEach((entry) => query.append("only", entry));
    history.replaceState(null, "", query.size ? `#${query}` : location.pathname + location.search);
  };

  // #scenario=S, #method=M, #scenario=S&method=M (a cell), and only=M for each method that is kept.
  const follow = (first = false) => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return;  // a section
    const query = new URLSearchParams(text);
    const [where, who, only] = [query.get("scenario") || "", query.get("method") || "", query.getAll("only")];
    const strangers = [where && !scenarios.includes(where) ? where : "", ...[who, ...only].filter((name) => name && !entries.includes(name))].filter(Boolean);
    scenario.value = scenarios.includes(where) ? where : "";
    pointed = entries.includes(who) ? who : "";
    const kept = new Set(only.filter((name) => entries.includes(name)));
    boxes.forEach((box) => { box.checked = kept.size === 0 || kept.has(box.value) || box.value === pointed; });
    changed(false);
    if (strangers.length) say(`Not on this page: ${strangers.join(", ")}`);
    if (pointed) report.goTo(scenario.value, pointed);
    else if (where && !first) (byId("matrix") || byId("leaderboard")).scrollIntoView({ block: "nearest" });
  };

  scenario.addEventListener("change", () => changed());
  boxes.forEach((box) => box.addEventListener("change", () => changed()));
  all("button[data-all]").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach((box) => { box.checked = Boolean(button.dataset.all); });
    changed();
  }));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => follow());

  // Of the two lists in the bar one is open, and none after a choice of contents or a click elsewhere.
  const lists = all("#filters details");
  document.addEventListener("click", (event) => lists.forEach((list) => {
    if (!list.contains(event.target) || event.target.closest("nav a")) list.open = false;
  }));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") lists.forEach((list) => { list.open = false; }); });

  // Theme: as the system says, or by hand; nothing is stored.
  const themes = ["automatic", "light", "dark"];
  const setTheme = (name) => {
    byId("theme-name").textContent = name;
    byId("theme").setAttribute("aria-label", `Theme: ${name}`);
    if (name === "automatic") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    listeners.forEach((listener) => listener(state()));
  };
  const theme = () => byId("theme-name").textContent;
  byId("theme").addEventListener("click", () => setTheme(themes[(themes.indexOf(theme()) + 1) % themes.length]));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => listeners.forEach((listener) => listener(state())));

  const measure = () => document.documentElement.style.setProperty("--bar", `${byId("filters").offsetHeight}px`);
  window.addEventListener("resize", measure);
  measure();

  const download = (name, rows) => {
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      const safe = typeof value === "string" && /^[=+\-@]/.test(text) ? `'${text}` : text;
      return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([rows.map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const point = (entry) => {
    pointed = entry;
    changed();
  };
  return { data, all, byId, element, state, changed, follow, point, setTheme, theme, download, entries, scenarios, onChange: (listener) => listeners.push(listener) };
})();

// Any method against any other: one pair scenario by scenario, and all pairs in a square.
(() => {
  const { data: { duels, rows }, all, byId, element, state, onChange } = report;
  const LEVEL = 0.05;
  const [first, second] = [byId("first"), byId("second")];
  const ordered = [...rows.filter((entry) => duels.entries.includes(entry))];
  const place = new Map(duels.entries.map((entry, k) => [entry, k]));
  const signed = (value) => (Math.abs(value) < 0.005 ? "0.00" : `${value > 0 ? "+" : ""}${value.toFixed(2)}`);

  // One against another in a scenario, from the first one's side; null where they have no seed in common.
  const index = new Map(Object.entries(duels.scenarios).map(([scenario, pairs]) => [scenario, new Map(pairs.map((pair) => [pair[0] * duels.entries.length + pair[1], pair]))]));
  const between = (scenario, one, other) => {
    const [a, b] = [place.get(one), place.get(other)];
    const pair = index.get(scenario)?.get(Math.min(a, b) * duels.entries.length + Math.max(a, b))
      ?? index.get(scenario)?.get(Math.max(a, b) * duels.entries.length + Math.min(a, b));
    if (!pair) return null;
    const turn = pair[0] === a ? 1 : -1;
    const [, , seeds, difference, low, high, p] = pair;
    const ends = low === null ? null : turn === 1 ? [low, high] : [-high, -low];
    const outcome = p === null ? "untested" : p > LEVEL ? "tie" : turn * difference > 0 ? "win" : "loss";
    return { seeds, difference: turn * difference, ends, p, outcome };
  };
  const level = (duel) => Math.abs(duel.difference) < 0.005;
  const counted = () => (state().scenario ? [state().scenario] : duels.counting);

  const showPair = () => {
    const [one, other] = [first.value, second.value];
    const table = byId("duel");
    table.replaceChildren();
    const head = element("tr", "", element("thead", "", table));
    ["scenario", "outcome", "difference (points)", "95 % interval", "p", "seeds"].forEach((title) => { element("th", title, head).scope = "col"; });
    const body = element("tbody", "", table);
    const sum = { win: 0, tie: 0, loss: 0, untested: 0, ahead: 0, behind: 0 };
    for (const scenario of state().scenarios) {
      const duel = between(scenario, one, other);
      const row = element("tr", "", body);
      element("th", scenario, row).scope = "row";
      if (!duel) {
        element("td", one === other ? "itself" : "no seed in common", row).colSpan = 5;
        continue;
      }
      if (counted().includes(scenario)) {
        sum[duel.outcome] += 1;
        if (!level(duel)) sum[duel.difference > 0 ? "ahead" : "behind"] += 1;
      }
      const word = duel.outcome === "untested" ? `${level(duel) ? "level" : duel.difference > 0 ? "ahead" : "behind"}, untested` : duel.outcome;
      element("td", word + (counted().includes(scenario) ? "" : " (another edition)"), row).className = duel.outcome;
      [signed(duel.difference), duel.ends ? `${signed(duel.ends[0])} to ${signed(duel.ends[1])}` : "", duel.p === null ? "" : duel.p.toPrecision(2), duel.seeds]
        .forEach((text) => { element("td", String(text), row).className = "number"; });
    }
    byId("duel-sum").textContent = one === other ? "" : `${one} against ${other}: ${sum.win} won, ${sum.tie} tied, ${sum.loss} lost, ${sum.untested} untested; its mean is ahead in ${sum.ahead} and behind in ${sum.behind}.`;
    report.fit();
  };

  const showSquare = () => {
    const table = byId("pairs");
    table.replaceChildren();
    if (!byId("all-pairs").open) return;
    const { kept, scenario } = state();
    const names = ordered.filter((entry) => kept.has(entry));
    const head = element("tr", "", element("thead", "", table));
    element("th", "", head);
    names.forEach((entry) => element("span", entry, element("th", "", head)));
    const body = element("tbody", "", table);
    for (const one of names) {
      const row = element("tr", "", body);
      element("th", one, row).scope = "row";
      for (const other of names) {
        const cell = element("td", "", row);
        const found = one === other ? [] : counted().map((where) => between(where, one, other)).filter(Boolean);
        if (!found.length) continue;
        const [ahead, behind] = [1, -1].map((turn) => found.filter((duel) => !level(duel) && turn * duel.difference > 0).length);
        const button = element("button", scenario ? signed(found[0].difference) : `${ahead}–${behind}`, cell);
        button.type = "button";
        button.title = `${one} against ${other}`;
        cell.className = ahead > behind ? "win" : ahead < behind ? "loss" : "tie";
        button.classList.toggle("significant", found.some((duel) => duel.outcome === "win" || duel.outcome === "loss"));
        button.addEventListener("click", () => {
          [first.value, second.value] = [one, other];
          showPair();
          byId("h-duels").scrollIntoView();
        });
      }
    }
    report.fit();
  };

  for (const select of [first, second]) {
    ordered.forEach((entry) => { element("option", entry, select).value = entry; });
    select.addEventListener("change", showPair);
  }
  if (ordered.length > 1) second.selectedIndex = 1;
  byId("all-pairs").addEventListener("toggle", showSquare);
  onChange(() => { showPair(); showSquare(); });

  report.changed(false);
  report.follow(true);
})();

// Figures: one for a chosen scenario, a small one each for all; drawn when they come into view or are printed.
(() => {
  const { data: { figures, looks, evaluations }, all, byId, element, state, onChange, download } = report;
  const MANY = 12;  // more entries than this cannot be told apart by colour
  const BANDS = 5;  // and more bands than this hide each other
  const PAPER = 640;
  // Named one by one: Plotly's own choice of buttons includes one that uploads the chart.
  const BUTTONS = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
  const DASHES = { solid: "", dash: "6 3", dot: "2 3", dashdot: "6 3 2 3", longdash: "10 4" };
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const checked = (id) => Boolean(byId(id)?.checked);
  const seen = new Set();
  let printing = false;

  const scenariosOf = (plot) => {
    const own = figures[plot.dataset.figure] || {};
    return "" in own ? [""] : state().scenarios.filter((name) => own[name]);
  };

  // Every run of a scenario as a thin line.
  const everyRun = (plot, scenario) => {
    const axis = { "curves-visits": "visits", "curves-bytes": "mb" }[plot.dataset.figure];
    if (!axis || !evaluations || !checked("every-run")) return [];
    const moving = (run) => axis === "visits" || run.mb.some((moved) => moved > 0);
    return (evaluations[scenario] || []).filter(moving).map((run) => ({
      type: "scatter", mode: run[axis].length > 1 ? "lines" : "lines+markers", meta: run.entry, name: `${escaped(run.entry)}, seed ${run.seed}`, x: run[axis], y: run.accuracy,
      line: { color: looks[run.entry].color, width: 0.8 }, opacity: 0.5, showlegend: false,
    }));
  };
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const coloured = (figure, kept, pointed) => {
    const there = (figure.leading || []).filter((entry) => kept.has(entry));
    const shown = new Set(figure.data.map((trace) => trace.meta).filter((entry) => entry !== undefined && kept.has(entry)));
    const names = shown.size <= MANY ? [...new Set([...there, ...shown])] : there;
    return pointed && kept.has(pointed) && !names.includes(pointed) ? [...names, pointed] : names;
  };
  const looked = (trace, names, pointed) => {
    if (trace.meta === undefined || trace.type === "box") return trace;
    if (trace.meta === pointed && trace.mode?.startsWith("lines") && trace.fill === undefined) return { ...trace, line: { ...trace.line, width: 4 } };
    const shown = names.includes(trace.meta);
    if (trace.fill !== undefined) return { ...trace, visible: shown && (names.length <= BANDS || trace.meta === pointed) };
    if (shown) return trace;
    const grey = style("--faint");
    return { ...trace, line: { ...trace.line, color: grey, width: 1, dash: "solid" }, marker: { ...trace.marker, color: grey } };
  };

  const draw = (panel) => {
    const { plot, scenario } = panel;
    const figure = figures[plot.dataset.figure][scenario];
    const { kept, pointed } = state();
    const names = coloured(figure, kept, pointed);
    const greys = (trace) => trace.meta !== undefined && !names.includes(trace.meta);
    const drawn = [...everyRun(plot, scenario), ...figure.data].filter((trace) => trace.meta === undefined || kept.has(trace.meta));
    const traces = [...drawn.filter(greys), ...drawn.filter((trace) => !greys(trace))].map((trace) => looked(trace, names, pointed));
    const small = scenariosOf(plot).length > 1;
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line") };
    const layout = {
      ...figure.layout,
      xaxis: { ...axis, ...figure.layout.xaxis },
      yaxis: { ...axis, ...figure.layout.yaxis },
      font: { color: style("--fore"), family: "system-ui, sans-serif", size: small ? 11 : 12 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 50, r: 10, t: 10, b: 45 },
      showlegend: false, hovermode: "closest", hoverlabel: { namelength: -1 },
      height: small && figure.layout.height === 420 ? 300 : figure.layout.height,
      width: printing ? (small ? PAPER / 2 : PAPER) : undefined, autosize: !printing,
    };
    if (figure.contest?.length && !checked("full-range")) layout.yaxis.range = figure.contest;
    panel.note.textContent = figure.contest && checked("full-range") ? "" : figure.note;
    const image = { format: "svg", filename: [plot.dataset.figure, scenario].filter(Boolean).join("-") };
    Plotly.react(panel.place, traces, layout, { displaylogo: false, responsive: !printing, modeBarButtons: BUTTONS, toImageButtonOptions: image });
  };

  // The legend is ours: one for all small multiples, and it points at a method.
  const legend = (plot) => {
    const panels = plot.panels.filter((panel) => panel.scenario !== undefined);
    const { kept, pointed } = state();
    const own = panels.map((panel) => figures[plot.dataset.figure][panel.scenario]);
    const names = [...new Set(own.flatMap((figure) => coloured(figure, kept, pointed)))];
    const every = new Set(own.flatMap((figure) => figure.data.map((trace) => trace.meta)).filter((entry) => entry !== undefined && kept.has(entry)));
    plot.legend.replaceChildren();
    if (["distributions", "ranks", "partition"].includes(plot.dataset.figure)) return;
    for (const entry of names.filter((name) => every.has(name))) {
      const link = element("a", "", plot.legend);
      link.href = `#${new URLSearchParams({ ...(byId("scenario").value ? { scenario: byId("scenario").value } : {}), method: entry })}`;
      link.classList.toggle("pointed", entry === pointed);
      link.addEventListener("click", (event) => { event.preventDefault(); report.point(entry === pointed ? "" : entry); });
      const key = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      key.setAttribute("viewBox", "0 0 30 10");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      Object.entries({ x1: 0, y1: 5, x2: 30, y2: 5, stroke: looks[entry].color, "stroke-width": 3, "stroke-dasharray": DASHES[looks[entry].dash] || "" })
        .forEach(([name, value]) => line.setAttribute(name, value));
      key.append(line);
      link.append(key, entry);
    }
    const rest = [...every].filter((entry) => !names.includes(entry)).length;
    if (rest) element("span", `${rest} more in grey: point at one, or choose methods`, plot.legend);
  };

  const lay = (plot) => {
    const wanted = scenariosOf(plot);
    if (plot.panels?.map((panel) => panel.scenario).join("\n") === wanted.join("\n") && wanted.length) return;
    (plot.panels || []).forEach((panel) => { watcher.unobserve(panel.place); seen.delete(panel); Plotly.purge(panel.place); });
    plot.replaceChildren();
    plot.classList.toggle("several", wanted.length > 1);
    plot.legend = element("div", "", plot);
    plot.legend.className = "key";
    plot.panels = wanted.map((scenario) => {
      const box = element("div", "", plot);
      box.className = "panel";
      const title = scenario && report.scenarios.length > 1 ? element("a", scenario, box) : null;
      if (title) title.href = `#${new URLSearchParams({ scenario })}`;
      const panel = { plot, scenario, place: element("div", "", box), note: element("p", "", box) };
      panel.note.className = "legend";
      panel.place.panel = panel;
      watcher.observe(panel.place);
      return panel;
    });
    if (!wanted.length) element("p", `Nothing of this kind was recorded${state().scenario ? ` for ${state().scenario}` : ""}.`, plot);
  };

  const watcher = new IntersectionObserver((changes) => changes.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting || seen.has(target.panel)) return;
    seen.add(target.panel);
    draw(target.panel);
  }), { rootMargin: "400px" });

  const plots = all(".plot");
  const redraw = () => plots.forEach((plot) => {
    lay(plot);
    legend(plot);
    plot.panels.filter((panel) => seen.has(panel)).forEach(draw);
  });
  onChange(redraw);
  ["full-range", "every-run"].forEach((id) => byId(id)?.addEventListener("change", redraw));

  // Paper is white and has no window to scroll: everything is drawn, in light colours.
  let theme = "automatic";
  const closed = () => all("main details:not(#all-pairs):not([open])");
  let opened = [];
  window.addEventListener("beforeprint", () => {
    theme = report.theme();
    printing = true;
    plots.forEach((plot) => plot.panels.forEach((panel) => seen.add(panel)));
    opened = closed();
    opened.forEach((each) => { each.open = true; });
    report.setTheme("light");
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    opened.forEach((each) => { each.open = false; });
    report.setTheme(theme);
  });

  // What a figure shows, as figures; of learning curves every evaluation of every run, where the page has them.
  all("button.download").forEach((button) => button.addEventListener("click", () => {
    const name = button.dataset.of;
    const plot = plots.find((each) => each.dataset.figure === name);
    const { kept } = state();
    const curves = name.startsWith("curves-") && evaluations;
    const rows = curves
      ? [["scenario", "method", "seed", "visits", "mb", "accuracy"]]
      : [["scenario", "method", "series", "x", "y"]];
    for (const scenario of scenariosOf(plot)) {
      if (curves) {
        for (const run of (evaluations[scenario] || []).filter((each) => kept.has(each.entry))) {
          run.visits.forEach((visits, place) => rows.push([scenario, run.entry, run.seed, visits, run.mb[place], run.accuracy[place]]));
        }
        continue;
      }
      for (const trace of figures[name][scenario].data.filter((each) => each.meta === undefined || kept.has(each.meta))) {
        const series = trace.type === "box"
          ? ["lowerfence", "q1", "median", "q3", "upperfence"].map((part) => [part, trace[part][0]])
          : trace.type === "heatmap"
            ? trace.z.flatMap((line, y) => line.map((z, x) => [z, trace.x[x], trace.y[y]]))
            : trace.x.map((x, place) => [trace.name, x, trace.y[place]]);
        series.forEach((each) => rows.push(trace.type === "box"
          ? [scenario, trace.meta, each[0], each[1], null] : [scenario, trace.meta ?? "", each[0], each[1], each[2]]));
      }
    }
    download(`${name}.csv`, rows);
  }));
})();

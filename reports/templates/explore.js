"use strict";
// The library comes packed, since it is most of the page.
async function load() {
  const packed = Uint8Array.from(atob(byId("plotly").textContent), (c) => c.charCodeAt(0));
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(script);
}
// The page's figures and filters. Values come as they are in the results; nothing is simulated or fitted here.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const ink = getComputedStyle(document.body).color;
const grid = getComputedStyle(document.body).getPropertyValue("--grid").trim();
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#d9c400", "#8c8c8c"];
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star-diamond"];
const MANY = 24; // a field of more values is filtered by a range
const CONFIG = { responsive: true, displaylogo: false };
const isNumber = (name) => data.rows.every((r) => r[name] === null || typeof r[name] === "number");
const numbers = data.columns.filter((n) => isNumber(n) && data.rows.some((r) => r[n] !== null));
const distinct = (name) => [...new Set(data.rows.map((r) => r[name]))].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const words = (name) => data.labels[name] ?? name;
const text = (value) => (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(5) : String(value));

function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12 },
    margin: { l: 70, r: 20, t: 30, b: 55 }, hovermode: "closest", ...more,
  };
}

function options(id, names, chosen) {
  for (const name of names) byId(id).add(new Option(data.labels[name] ?? name, name, false, name === chosen));
}

// ---- filters: a choice for a field of few values, a range for others and for each objective
const controls = [];
function addControl(name, make) {
  const label = document.createElement("label");
  label.textContent = words(name);
  const test = make(label);
  label.querySelectorAll("select, input").forEach((e) => e.addEventListener("input", draw));
  byId("filters").append(label);
  controls.push(test);
}
function choice(name) {
  addControl(name, (label) => {
    const select = document.createElement("select");
    select.dataset.field = name;
    select.add(new Option("all", ""));
    const values = distinct(name);
    values.forEach((v, i) => select.add(new Option(text(v), i)));
    label.append(select);
    return (row) => select.value === "" || row[name] === values[Number(select.value)];
  });
}
function range(name) {
  addControl(name, (label) => {
    const ends = ["at least", "at most"].map((hint) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "number", step: "any", placeholder: hint });
      input.dataset.field = name;
      label.append(input);
      return input;
    });
    return (row) => (ends[0].value === "" || row[name] >= Number(ends[0].value))
      && (ends[1].value === "" || row[name] <= Number(ends[1].value));
  });
}
const objectives = data.objectives.map((o) => o.split(" ")[1]);
for (const name of data.fields) (distinct(name).length <= MANY ? choice : range)(name);
for (const name of objectives) range(name);
byId("reset").addEventListener("click", () => {
  document.querySelectorAll("#filters select, #filters input").forEach((e) => { e.value = ""; });
  brushed = () => true;
  draw();
});

let brushed = () => true; // what the ranges on the parallel axes leave
const filtered = () => data.rows.filter((row) => controls.every((test) => test(row)));

// ---- the front
function hover(row) {
  return data.columns.map((n) => `${words(n)}: ${row[n] === null ? "–" : text(row[n])}`).join("<br>");
}
function drawFront(rows) {
  const [x, y, colour] = ["x", "y", "colour"].map((id) => byId(id).value);
  const type = byId("scale").value === "linear" ? "linear" : "log";
  const trace = (mine, more) => ({
    type: rows.length > 5000 ? "scattergl" : "scatter", mode: "markers", x: mine.map((r) => r[x]), y: mine.map((r) => r[y]), text: mine.map(hover),
    hovertemplate: "%{text}<extra></extra>", ...more,
  });
  const kinds = distinct(colour);
  const traces = [];
  if (kinds.length <= PALETTE.length) {
    kinds.forEach((kind, i) => traces.push(trace(rows.filter((r) => r[colour] === kind),
      { name: `${words(colour)}: ${text(kind)}`, marker: { color: PALETTE[i], symbol: SYMBOLS[i], size: 8, opacity: 0.8 } })));
  } else {
    const values = isNumber(colour) ? rows.map((r) => r[colour]) : rows.map((r) => kinds.indexOf(r[colour]));
    traces.push(trace(rows, { name: "points", showlegend: false,
      marker: { color: values, colorscale: "Viridis", size: 7, opacity: 0.8, colorbar: { title: { text: words(colour), side: "right" } } } }));
  }
  traces.push(trace(rows.filter((r) => r.front),
    { name: "front", hoverinfo: "skip", hovertemplate: null, marker: { symbol: "circle-open", size: 13, color: ink } }));
  traces.push(trace(rows.filter((r) => r.design !== ""),
    { name: "paper's design", marker: { symbol: "star", size: 17, color: "#d55e00", line: { width: 1, color: "white" } } }));
  const axis = (name) => ({ title: { text: words(name) }, gridcolor: grid, zeroline: false,
    rangemode: numbers.includes(name) && data.rows.every((r) => r[name] >= 0) ? "nonnegative" : "normal",
    type: isNumber(name) ? (type === "log" && data.rows.every((r) => r[name] > 0) ? "log" : "linear") : "category" });
  Plotly.react("front", traces, layout({ xaxis: axis(x), yaxis: axis(y), legend: { orientation: "h", yanchor: "bottom", y: 1.02 } }), CONFIG);
  byId("count").textContent = `${rows.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} points`;
}

// ---- parallel coordinates
const parallelNames = [...data.fields, ...objectives];
let parallelRows = [];
function drawParallel(rows) {
  parallelRows = rows;
  const dimensions = parallelNames.map((name) => {
    if (isNumber(name)) return { label: words(name), values: rows.map((r) => r[name]) };
    const values = distinct(name);
    return { label: words(name), values: rows.map((r) => values.indexOf(r[name])), tickvals: values.map((v, i) => i),
      ticktext: values.map(text), range: [0, Math.max(values.length - 1, 1)] };
  });
  const colour = rows.map((r) => Math.log10(Math.max(r[objectives[0]], 1e-300)));
  Plotly.react("parallel", [{ type: "parcoords", dimensions, labelfont: { size: 11 },
    line: { color: colour, colorscale: "Viridis", showscale: false } }], layout({ margin: { l: 90, r: 60, t: 60, b: 30 } }), CONFIG);
}
function readBrush() {
  const tests = byId("parallel").data[0].dimensions.map((d, i) => {
    if (!d.constraintrange || !d.constraintrange.length) return () => true;
    const ranges = Array.isArray(d.constraintrange[0]) ? d.constraintrange : [d.constraintrange];
    const values = isNumber(parallelNames[i]) ? null : distinct(parallelNames[i]);
    return (row) => {
      const v = values === null ? row[parallelNames[i]] : values.indexOf(row[parallelNames[i]]);
      return ranges.some(([low, high]) => v >= low && v <= high);
    };
  });
  brushed = (row) => tests.every((test) => test(row));
  drawFront(parallelRows.filter(brushed));
}

// ---- heat maps and tornado
function drawHeat() {
  const h = data.heats[Number(byId("pair").value)];
  const flat = h.cells.flat().filter((v) => v !== null);
  const log = flat.length > 0 && Math.min(...flat) > 0 && Math.max(...flat) > 10 * Math.min(...flat);
  const z = h.cells.map((row) => row.map((v) => (v === null ? null : log ? Math.log10(v) : v)));
  const labels = h.cells.map((row) => row.map((v) => (v === null ? "" : v.toPrecision(3))));
  const axis = (name) => ({ title: { text: name }, type: "category", gridcolor: grid });
  Plotly.react("heat", [{ type: "heatmap", x: h.x, y: h.y, z, text: labels, texttemplate: "%{text}", colorscale: "Viridis",
    showscale: false, hovertemplate: `${h.x_name}: %{x}<br>${h.y_name}: %{y}<br>${h.objective}: %{text}<extra></extra>` }],
  layout({ xaxis: axis(words(h.x_name)), yaxis: axis(words(h.y_name)) }), CONFIG);
}
function drawTornado() {
  const rows = data.sensitivity.filter((r) => r.objective === byId("objective").value).reverse();
  byId("tornado").style.height = `${7 + 2.2 * rows.length}rem`;
  const bar = (end, color) => ({ type: "bar", orientation: "h", y: rows.map((r) => words(r.field)), base: 1, name: end,
    x: rows.map((r) => r[end] - 1), marker: { color }, text: rows.map((r) => r[`${end}_at`]), textposition: "auto",
    customdata: rows.map((r) => r[end].toPrecision(4)), hovertemplate: "%{y} = %{text}: %{customdata}x<extra></extra>" });
  Plotly.react("tornado", [bar("low", PALETTE[0]), bar("high", PALETTE[1])], layout({ barmode: "overlay", showlegend: false,
    margin: { l: 60, r: 20, t: 10, b: 45 }, xaxis: { gridcolor: grid, type: "log", title: { text: "over the mean of all points" } },
    yaxis: { automargin: true } }), CONFIG);
}

function draw() {
  const rows = filtered();
  drawParallel(rows);
  drawFront(rows.filter(brushed));
}

load().then(() => {
  options("x", data.columns, data.x);
  options("y", data.columns, data.y);
  options("colour", data.columns, data.colour);
  byId("scale").value = data.log ? "logarithmic" : "linear";
  options("objective", data.objectives, data.objectives[0]);
  data.heats.forEach((h, i) => byId("pair").add(new Option(`${words(h.x_name)} x ${words(h.y_name)}: ${h.objective}`, i)));
  for (const id of ["x", "y", "colour", "scale"]) byId(id).addEventListener("input", draw);
  byId("objective").addEventListener("input", drawTornado);
  if (data.rows.length) {
    draw();
    byId("parallel").on("plotly_restyle", readBrush);
  }
  if (data.heats.length) {
    byId("pair").addEventListener("input", drawHeat);
    drawHeat();
  }
  drawTornado();
});

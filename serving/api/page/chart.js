// Draws figures as SVG. All texts are set as text, never as markup.

const SPACE = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

// Bytes in the largest unit (powers of 1000) that leaves a whole number in front.
export function bytes(value) {
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  return `${unit ? value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) : Math.round(value)} ${UNITS[unit]}`;
}

// Stacked columns: series are lists of one value for each of `starts`, the first one at the bottom.
export function stacked(into, starts, series) {
  const { width, height } = into.getBoundingClientRect();
  const left = 58, bottom = 20, top = 6, plot = { w: Math.max(width - left, 50), h: Math.max(height - bottom - top, 50) };
  const most = nice(Math.max(1, ...starts.map((_, at) => series.reduce((sum, values) => sum + values[at], 0))));
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Bytes every 5 minutes by app" });
  for (const part of [0, 0.5, 1]) {
    const y = top + plot.h * (1 - part);
    svg.append(
      element("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }),
      element("text", { class: "axis", x: left - 8, y: y + 4, "text-anchor": "end" }, bytes(most * part)));
  }
  const step = plot.w / Math.max(starts.length, 1), thick = Math.max(step * 0.78, 1);
  starts.forEach((start, at) => {
    let y = top + plot.h;
    series.forEach((values, number) => {
      const tall = plot.h * values[at] / most;
      y -= tall;
      if (tall > 0.2) svg.append(element("rect",
        { class: `f${number}`, x: left + step * at + (step - thick) / 2, y, width: thick, height: tall, rx: Math.min(2, thick / 4) }));
    });
    if (start.getMinutes() === 0 && step * at < plot.w - 20) svg.append(element("text",
      { class: "axis", x: left + step * (at + 0.5), y: height - 4, "text-anchor": "middle" }, clock(start)));
  });
  into.replaceChildren(svg);
}

// What is used of a plan, as an arc with its thresholds.
export function gauge(into, used, limit, thresholds) {
  const share = limit ? used / limit : 0, arc = part => path(Math.min(part, 1));
  const state = share >= 1 ? "bad" : share >= 0.8 ? "warn" : "";
  const svg = element("svg", { viewBox: "0 0 240 186", role: "img", class: state, "aria-label": `${Math.floor(100 * share)} percent used` },
    element("path", { class: "track", d: arc(1), "stroke-width": 20, "stroke-linecap": "round" }));
  if (share > 0) svg.append(element("path", { class: "value", d: arc(share), "stroke-width": 20, "stroke-linecap": "round" }));
  for (const { percent } of thresholds.filter(one => one.percent < 100)) {
    const [x1, y1] = point(percent / 100, 86), [x2, y2] = point(percent / 100, 106);
    svg.append(element("line", { class: "tick", x1, y1, x2, y2 }));
  }
  svg.append(
    element("text", { class: "big", x: 120, y: 112 }, `${Math.floor(100 * share)} %`),
    element("text", { class: "small", x: 120, y: 134 }, `${bytes(used)} of ${bytes(limit)}`));
  into.replaceChildren(svg);
}

// A point of the arc, which goes from lower left over the top to lower right.
function point(share, radius) {
  const angle = Math.PI * (1 + 0.2 - 1.4 * share);
  return [120 + radius * Math.cos(angle), 112 - radius * Math.sin(angle)].map(value => value.toFixed(2));
}

function path(share) {
  const [x0, y0] = point(0, 96), [x1, y1] = point(share, 96);
  return `M${x0} ${y0}A96 96 0 ${1.4 * share > 1 ? 1 : 0} 1 ${x1} ${y1}`;
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map(factor => factor * power).find(one => one >= value);
}

export function clock(at) {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

// The page: asks the API every few seconds, follows the stream of threshold events, and shows a subscriber's month.

import { bytes, clock, gauge, stacked } from "./chart.js";

const LOOK_MS = 5_000, FIVE_MINUTES = 300_000, HOUR = 3_600_000, SHOWN_APPS = 6, SHOWN_EVENTS = 40;
const byId = name => document.getElementById(name);
let lastEvent = null, crossed = 0, since = Date.now();

// --- asking

function headers() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function ask(path, parameters = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, { headers: headers() });
  if (answer.status === 401) askForKey();
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).detail), { status: answer.status });
  return answer.json();
}

async function rows(parameters) {
  const found = [];
  for (let cursor = null, page; ; cursor = page.next) {
    page = await ask("/v1/usage", { feed: "devices", limit: 10_000, ...parameters, ...(cursor && { cursor }) });
    found.push(...page.rows);
    if (!page.next || found.length > 50_000) return { as_of: page.as_of, rows: found };
  }
}

function askForKey() {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  if (sessionStorage.getItem("key")) byId("key-note").textContent = "This key is unknown to the server.";
  dialog.showModal();
}

byId("key-dialog").addEventListener("close", () => {
  sessionStorage.setItem("key", byId("key").value);
  look();
});

// --- live totals

async function look() {
  try {
    const now = Date.now(), from = new Date(Math.floor((now - 3 * HOUR) / FIVE_MINUTES) * FIVE_MINUTES);
    const [recent, antennas, day] = await Promise.all([
      rows({ dimension: "app", window: "5m", from: from.toISOString() }),
      rows({ dimension: "antenna", window: "5m", from: new Date(now - HOUR).toISOString() }),
      rows({ dimension: "app", window: "1h", from: new Date(now - 24 * HOUR).toISOString() }),
    ]);
    showTraffic(recent.rows, from, now);
    showAntennas(antennas.rows);
    showTiles(recent.rows, antennas.rows, day.rows, now);
    status("up", recent.as_of ? `as of ${new Date(recent.as_of).toLocaleTimeString([], { hour12: false })}` : "nothing counted yet");
  } catch (error) {
    status("down", error.status === 403 ? "this key may not see the network" : `no figures: ${error.message}`);
  }
}

function status(state, text) {
  byId("as-of").className = state;
  byId("as-of").querySelector(".text").textContent = text;
}

function sums(found, key) {
  const total = new Map();
  for (const row of found) total.set(row[key], (total.get(row[key]) ?? 0) + row.value);
  return [...total].sort((a, b) => b[1] - a[1]);
}

const total = found => found.reduce((sum, row) => sum + row.value, 0);

function showTraffic(found, from, now) {
  const apps = sums(found, "id"), named = apps.slice(0, SHOWN_APPS).map(([app]) => app);
  const place = new Map(named.map((app, number) => [app, number]));
  const starts = [];
  for (let at = from.getTime(); at < now; at += FIVE_MINUTES) starts.push(new Date(at));
  const series = Array.from({ length: named.length + (apps.length > SHOWN_APPS ? 1 : 0) }, () => starts.map(() => 0));
  for (const row of found) {
    const at = Math.round((Date.parse(row.timestamp) - from.getTime()) / FIVE_MINUTES);
    if (at < starts.length) series[place.get(row.id) ?? named.length][at] += row.value;
  }
  stacked(byId("traffic"), starts, series);
  const others = apps.slice(SHOWN_APPS).reduce((sum, [, value]) => sum + value, 0);
  const shown = [...apps.slice(0, SHOWN_APPS), ...(others ? [["others", others]] : [])];
  byId("apps").replaceChildren(...shown.map(([app, value], number) => node("li", "",
    node("i", `b${number}`), node("span", "", app), node("b", "", bytes(value)))));
}

function showAntennas(found) {
  const busiest = sums(found, "id").slice(0, 8);
  byId("antennas").replaceChildren(...busiest.map(([id, value]) => {
    const bar = Object.assign(document.createElement("meter"), { max: busiest[0][1] || 1, value });
    bar.setAttribute("aria-label", `${id}: ${bytes(value)}`);
    const name = node("span", "name", id.replace(/^[0-9a-f-]{28}(?=[0-9a-f]{8}$)/, "…"));
    name.title = id;
    return node("li", "", name, bar, node("b", "", bytes(value)));
  }));
  if (!busiest.length) byId("antennas").replaceChildren(node("li", "empty", "No traffic in the last hour."));
}

function showTiles(recent, antennas, day, now) {
  const whole = Math.floor(now / FIVE_MINUTES) * FIVE_MINUTES;
  // The last five minutes: the window that goes on, and of the one before the part that is younger than that.
  const of = start => total(recent.filter(row => Date.parse(row.timestamp) === start));
  const part = (whole + FIVE_MINUTES - now) / FIVE_MINUTES;
  byId("rate").textContent = `${bytes((of(whole) + part * of(whole - FIVE_MINUTES)) / 300)}/s`;
  byId("hour").textContent = bytes(total(recent.filter(row => Date.parse(row.timestamp) >= now - HOUR)));
  byId("hour-note").textContent = `over ${new Set(antennas.map(row => row.id)).size} antennas`;
  byId("day").textContent = bytes(total(day));
  const final = day.length ? Math.round(100 * total(day.filter(row => row.final)) / Math.max(total(day), 1)) : 0;
  byId("day-note").textContent = `${final} % recomputed and final`;
}

// --- threshold events

// EventSource cannot send a key: the stream is read by fetch, and goes on behind the last event.
async function follow() {
  for (;;) {
    try {
      const from = lastEvent === null ? {} : { "Last-Event-ID": lastEvent };
      const query = lastEvent === null ? `?recent=${SHOWN_EVENTS}` : "";
      const answer = await fetch(`/v1/threshold-events/stream${query}`, { headers: { ...headers(), ...from } });
      if (answer.ok) await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      // An id of another database: begin anew.
      if (answer.status === 400) lastEvent = null;
    } catch { /* connects again */ }
    await new Promise(done => setTimeout(done, 1_000));
  }
}

async function read(reader) {
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const messages = (rest + value).split("\n\n");
    rest = messages.pop();
    messages.forEach(receive);
  }
}

function receive(message) {
  const fields = Object.fromEntries(message.split("\n").map(line => line.split(/: (.*)/s)));
  if (fields.data) showEvent(JSON.parse(fields.data));
  if (fields.id) lastEvent = fields.id;
}

const WORDS = {
  DATA_PLAN_THRESHOLD_REACHED: "of the plan used", DATA_PLAN_EXCEEDED: "the plan is used up",
  DATA_PLAN_CORRECTED: "total corrected", BILLING_PERIOD_CLOSED: "period closed", BILLING_PERIOD_AMENDED: "closed period amended",
};

function showEvent({ msisdn, emitted_at, event }) {
  const list = byId("events"), percent = event.thresholdPercent;
  list.querySelector(".empty")?.remove();
  const button = node("button", "",
    node("span", "badge", percent === null ? "···" : `${percent} %`),
    node("span", "who", msisdn), node("time", "", clock(new Date(emitted_at))),
    node("span", "what", `${WORDS[event.type] ?? event.type}: ${bytes(event.totalRecordedBytes)} of ${bytes(event.maxBytesInBillingPeriod)}`));
  button.addEventListener("click", () => { byId("msisdn").value = msisdn; showPlan(msisdn); });
  const state = event.type === "DATA_PLAN_EXCEEDED" ? "bad" : percent >= 80 ? "warn" : "";
  list.prepend(node("li", `new ${state}`, button));
  while (list.children.length > SHOWN_EVENTS) list.lastChild.remove();
  if (percent !== null && Date.parse(emitted_at) >= since) byId("crossed").textContent = ++crossed;
}

// --- a subscriber's month

async function showPlan(msisdn) {
  try {
    const plan = await ask(`/v1/data-plans/${encodeURIComponent(msisdn.trim().replace(/^\+/, ""))}`);
    gauge(byId("gauge"), plan.used, plan.limit, plan.thresholds);
    byId("facts").replaceChildren(...facts(plan).flatMap(([name, value]) => [node("dt", "", name), node("dd", "", value)]));
    byId("plan").hidden = false;
    byId("no-plan").hidden = true;
  } catch (error) {
    byId("plan").hidden = true;
    byId("no-plan").hidden = false;
    byId("no-plan").textContent = error.status === 404 ? "No plan for this number now." : `No answer: ${error.message}`;
  }
}

function facts(plan) {
  const local = at => `${at.slice(0, 10)} ${at.slice(11, 16)}`;
  const made = [
    ["Number", plan.msisdn],
    ["Period", `${local(plan.period.start)} – ${local(plan.period.end)} (${plan.zone})`],
    ["Left", plan.left ? bytes(plan.left) : "nothing"],
    ["Crossed", plan.thresholds.filter(one => one.reached).map(one =>
      `${one.percent} %${one.crossed_at ? ` on ${local(one.crossed_at)}` : ""}`).join(", ") || "no threshold yet"],
  ];
  const projected = plan.projection;
  if (projected) {
    const range = [projected.earliest, projected.latest].some(Boolean)
      ? `, ${Math.round(100 * projected.confidence)} % sure of ${projected.earliest ? local(projected.earliest) : "now"} to ${projected.latest ? local(projected.latest) : "after the period"}` : "";
    made.push(["Runs out", projected.runs_out_at ? `${local(projected.runs_out_at)}${range}` : `not in this period${range}`]);
    made.push(["At the end", `about ${bytes(projected.used_at_end)}`]);
  }
  if (plan.latest_recorded_at) made.push(["Last used", local(plan.latest_recorded_at)]);
  return made;
}

byId("ask").addEventListener("submit", event => { event.preventDefault(); showPlan(byId("msisdn").value); });

function node(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className.trim();
  made.append(...children);
  return made;
}

look();
setInterval(() => { if (!document.hidden && !byId("key-dialog").open) look(); }, LOOK_MS);
follow();

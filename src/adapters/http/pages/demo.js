import { Ages } from "./ages.js";
import { age, AgePlot } from "./plot.js";
import { Proof } from "./proof.js";

const ROWS = 200;
const POLL_MS = 500;
const FREEZE_MS = 5_000;
const BEGIN_BACK = 200;

const at = (id) => document.getElementById(id);
const plot = new AgePlot(at("plot"));

let user = null;
let source = null;
let position = null;
let proof = new Proof();
let ages = null;
let known = 0; // how many of what was produced for the user are in the proof
let stage = null;
let reconnects = -1;
let staged; // whether there is a stage; undefined until that is known
let stale = false;
let opened = 0; // when the user was chosen
let connection = "nobody";

function follow(chosen) {
  source?.close();
  ages?.forget();
  user = chosen;
  position = null;
  proof = new Proof();
  ages = new Ages(user);
  opened = Date.now();
  plot.clear();
  put("age", "–");
  reconnects = -1;
  known = stage ? Math.max(0, (stage.totals[user] ?? 0) - BEGIN_BACK) : 0;
  at("events").replaceChildren();
  at("empty").hidden = false;
  source = new EventSource(`events?${new URLSearchParams({ user, event: "message", last: "500" })}`);
  show("connecting");
  source.onopen = () => {
    reconnects += 1;
    proof.connected();
    show(stale ? "stale" : "live");
  };
  source.onerror = () => show(source.readyState === EventSource.CLOSED ? "ended" : "reconnecting");
  source.onmessage = ({ data, lastEventId }) => arrived(JSON.parse(data), lastEventId);
  source.addEventListener("reset", ({ data, lastEventId }) => {
    const { reason } = JSON.parse(data);
    position = lastEventId;
    proof.reset();
    note(`Reset (${reason}): something may be missing here. A page loads its state anew.`);
  });
  source.addEventListener("stale", () => {
    stale = true;
    show("stale");
  });
  source.addEventListener("fresh", () => {
    stale = false;
    show("live");
  });
}

function arrived(event, lastEventId) {
  position = lastEventId;
  if (!proof.arrived(event.event_id)) return;
  const old = text("data", "");
  ages.arrived(lastEventId, (ms, since) => {
    old.textContent = ms === null ? "–" : age(ms);
    if (ms === null || since < opened) return; // what was kept for the page would say nothing of the way here
    plot.add(ms);
    put("age", age(ms));
  });
  const row = document.createElement("li");
  row.append(
    text("time", new Date().toLocaleTimeString([], { hour12: false })),
    text("b", event.event_type.split(".").slice(2).join(".") || event.event_type),
    text("span", summary(event.payload)),
    old,
  );
  insert(row);
}

function note(words) {
  const row = document.createElement("li");
  const alert = text("p", words);
  alert.setAttribute("role", "alert");
  row.className = "note";
  row.append(alert);
  insert(row);
}

function insert(row) {
  const list = at("events");
  at("empty").hidden = true;
  list.prepend(row);
  while (list.childElementCount > ROWS) list.lastElementChild.remove();
}

function summary(payload) {
  if (typeof payload === "string") return payload;
  return Object.entries(payload ?? {})
    .map(([name, value]) => (typeof value === "string" ? value : `${name} ${JSON.stringify(value)}`))
    .join(" · ");
}

function text(name, words) {
  const element = document.createElement(name);
  element.textContent = words;
  return element;
}

const STATES = {
  nobody: "no user chosen",
  starting: "starting",
  connecting: "connecting",
  live: "live",
  stale: "stale: Redis is away",
  reconnecting: "reconnecting",
  frozen: "frozen",
  ended: "ended by the gateway",
};

function show(state) {
  if (state !== "frozen") connection = state;
  put("state", STATES[state]);
  at("state").dataset.state = state;
}

function put(id, words) {
  const element = at(id);
  if (element.textContent !== String(words)) element.textContent = String(words);
}

function draw() {
  const numbers = proof.count();
  put("produced", numbers.produced);
  put("shown", numbers.shown);
  put("on-the-way", numbers.onTheWay);
  for (const name of ["missing", "repeated", "resets"]) {
    put(name, numbers[name]);
    at(name).className = numbers[name] ? (name === "resets" ? "told" : "some") : "zero";
  }
  put("verdict", user ? verdict(numbers) : stage?.starting ?? "");
  at("verdict").classList.toggle("wrong", numbers.missing + numbers.repeated > 0);
  put("position", position ?? "–");
  put("reconnects", Math.max(0, reconnects));
  plot.draw();
}

// What is missing only a stage can tell.
function verdict({ missing, repeated }) {
  return staged === false ? `${repeated} repeated` : `${missing} missing, ${repeated} repeated`;
}

async function poll() {
  const query = new URLSearchParams(user ? { user, after: String(known) } : {});
  const asked = { user, known };
  const answer = await fetch(`demo/stage?${query}`).catch(() => null);
  if (answer?.status === 404) return false;
  if (!answer?.ok) {
    for (const id of ["redis", "bridge", "circuit"]) condition(id, "unknown");
    return staged;
  }
  const told = await answer.json();
  stage = told;
  if (user === null) {
    if (told.users.length) choices(told.users);
    else show("starting");
  }
  if (asked.user === user && asked.known === known) {
    known = told.before + told.sent.length;
    proof.produced(told.sent);
  }
  condition("redis", told.redis, "runs");
  condition("bridge", told.bridge, "runs");
  condition("circuit", told.circuit, "closed");
  actions(told.actions);
  return true;
}

function condition(id, words, good) {
  put(id, words);
  at(id).dataset.tone = words === good ? "good" : "bad";
}

function choices(users) {
  at("user").replaceChildren(...users.map(({ id, name }) => new Option(name, id)));
  follow(users[0].id);
}

// The buttons stay, and with them the focus; what they do changes.
function actions(offered) {
  const buttons = [...at("buttons").querySelectorAll("[data-action]")];
  offered.forEach(({ name, label, possible }, index) => {
    const button = buttons[index] ?? actionButton();
    button.dataset.action = name;
    if (button.textContent !== label) button.textContent = label;
    button.ariaDisabled = String(!possible); // not disabled: that would take the focus away
  });
  for (const button of buttons.slice(offered.length)) button.remove();
}

function actionButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => act(button));
  at("buttons").append(button);
  return button;
}

async function act(button) {
  if (button.ariaDisabled === "true" || button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  const { action } = button.dataset;
  const answer = await fetch(`demo/actions/${encodeURIComponent(action)}`, { method: "POST" }).catch(() => null);
  if (!answer?.ok) note(`“${button.textContent}” did not work.`);
  await turn();
  button.ariaBusy = null;
}

function needs(kind) {
  for (const element of document.querySelectorAll("[data-needs]")) element.hidden = element.dataset.needs !== kind;
}

at("user").addEventListener("change", ({ target }) => follow(target.value));
at("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("user-id").value.trim()) follow(at("user-id").value.trim());
});
at("cut").addEventListener("click", async () => {
  if (user === null) return;
  const answer = await fetch(`demo/cut?${new URLSearchParams({ user })}`, { method: "POST" }).catch(() => null);
  if (!answer?.ok) note("“Cut the connection” did not work.");
});
at("freeze").addEventListener("click", async () => {
  show("frozen");
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  const until = performance.now() + FREEZE_MS;
  while (performance.now() < until);
  show(connection);
});

async function turn() {
  if (staged !== false) staged = await poll();
  needs(staged ? "stage" : "no-stage");
  draw();
  ages?.ask();
}

show("nobody");
await turn();
setInterval(turn, POLL_MS);

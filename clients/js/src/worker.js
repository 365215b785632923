import { Hub } from "./hub.js";
import { live, randomId } from "./life.js";

/** @import { Down, Up } from "./hub.js" */

const worker = randomId();
const living = live(worker);
/** @type {Map<string, MessagePort>} */
const tabs = new Map();

const hub = new Hub(
  /** @param {Down} message @param {string | null} to */
  (message, to) => {
    for (const [member, port] of tabs) if (to === null || to === member) port.postMessage(message);
  },
  (member) => tabs.delete(member),
);

globalThis.addEventListener("connect", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (!port) return;
  port.onmessage = (/** @type {MessageEvent<{ from: string, up: Up }>} */ { data: { from, up } }) => {
    if (up.say === "join") tabs.set(from, port);
    hub.take(from, up);
  };
  void living.then(() => port.postMessage({ say: "hub", worker }));
});

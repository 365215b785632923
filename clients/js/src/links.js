import { Hub } from "./hub.js";
import { live, whenGone } from "./life.js";

/** @import { Down, Up } from "./hub.js" */

/**
 * @typedef {object} Link A tab's way to the hub.
 * @property {"worker" | "lock"} via
 * @property {(message: Up) => void} post
 * @property {() => void} close
 */

const WORKER_MS = 5_000;

/**
 * A hub in a shared worker. Rejects where the browser has none or the script cannot be run as one.
 *
 * @param {string} name
 * @param {string} member
 * @param {URL | string | null} script
 * @param {(message: Down) => void} receive
 * @param {() => void} lost Called when the worker is gone: with the tab in whose process it ran, say.
 * @returns {Promise<Link>}
 */
export async function workerLink(name, member, script, receive, lost) {
  const worker = script
    ? new SharedWorker(script, { type: "module", name })
    : new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name });
  const { port } = worker;
  const release = await live(member);
  let stopWaiting = () => {};
  const close = () => {
    stopWaiting();
    release();
    port.close();
  };
  try {
    const { data } = await new Promise((/** @type {(hello: MessageEvent) => void} */ resolve, reject) => {
      setTimeout(() => reject(new Error("the worker does not answer")), WORKER_MS);
      worker.onerror = reject;
      port.onmessage = resolve;
    });
    stopWaiting = whenGone(data.worker, lost);
  } catch (error) {
    close();
    throw error;
  }
  port.onmessage = ({ data }) => receive(data);
  return { via: "worker", post: (up) => port.postMessage({ from: member, up }), close };
}

/**
 * A hub in whichever tab holds the lock; when that tab ends, the next one leads. Rejects where the browser allows
 * no locks here.
 *
 * @param {string} name
 * @param {string} member
 * @param {(message: Down) => void} receive
 * @returns {Promise<Link>}
 */
export async function lockLink(name, member, receive) {
  const release = await live(member);
  const channel = new BroadcastChannel(name);
  const waiting = new AbortController();
  /** @type {Hub | null} */
  let hub = null;
  let stepDown = () => {};

  /** @param {Down} down @param {string | null} to */
  const send = (down, to) => {
    if (to !== member) channel.postMessage({ down, to });
    if (to === null || to === member) queueMicrotask(() => hub && receive(down));
  };
  channel.onmessage = ({ data }) => {
    if (data.up) hub?.take(data.from, data.up);
    else if (data.to === null || data.to === member) receive(data.down);
  };
  const lead = () =>
    new Promise((/** @type {(value?: undefined) => void} */ done) => {
      stepDown = done;
      hub = new Hub(send);
      send({ say: "hub" }, null);
    });
  navigator.locks.request(name, { signal: waiting.signal }, lead).catch(() => {}); // closed before it led

  return {
    via: "lock",
    post: (up) => (hub ? hub.take(member, up) : channel.postMessage({ from: member, up })),
    close: () => {
      hub?.close();
      hub = null;
      stepDown();
      waiting.abort();
      release();
      channel.close();
    },
  };
}

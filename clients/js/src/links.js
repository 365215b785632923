import { Hub, lifeLock } from "./hub.js";

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
 * @returns {Promise<Link>}
 */
export async function workerLink(name, member, script, receive) {
  const worker = script
    ? new SharedWorker(script, { type: "module", name })
    : new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name });
  const { port } = worker;
  const release = await holdLock(lifeLock(member));
  const close = () => {
    release();
    port.close();
  };
  try {
    await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("the worker does not answer")), WORKER_MS);
      worker.onerror = reject;
      port.onmessage = resolve;
    });
  } catch (error) {
    close();
    throw error;
  }
  port.onmessage = ({ data }) => receive(data);
  return { via: "worker", post: (up) => port.postMessage({ from: member, up }), close };
}

/**
 * A hub in whichever tab holds the lock; when that tab ends, the next one leads.
 *
 * @param {string} name
 * @param {string} member
 * @param {(message: Down) => void} receive
 * @returns {Promise<Link>}
 */
export async function lockLink(name, member, receive) {
  const channel = new BroadcastChannel(name);
  const waiting = new AbortController();
  const release = await holdLock(lifeLock(member));
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

/**
 * Hold a lock; where the browser has no locks, nothing.
 *
 * @param {string} name
 * @returns {Promise<() => void>} Once it is held: lets go of it.
 */
function holdLock(name) {
  const locks = globalThis.navigator?.locks;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = () => new Promise((/** @type {(value?: undefined) => void} */ done) => resolve(() => done()));
    locks.request(name, held).catch(reject);
  });
}

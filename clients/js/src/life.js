/**
 * Who is still there. Each tab and each worker holds a lock of its own name while it lives; the browser lets go of
 * it at the end, also after a crash, and whoever asked for the same lock then gets it.
 *
 * Without locks (a page that is not secure) nobody is ever missed.
 */

/** @returns {string} 128 bits of chance; `crypto.randomUUID` is missing where a page is not secure. */
export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Be there under this id.
 *
 * @param {string} id
 * @returns {Promise<() => void>} Once others can tell: ends it.
 */
export function live(id) {
  const locks = globalThis.navigator?.locks;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = () => new Promise((/** @type {(value?: undefined) => void} */ done) => resolve(() => done()));
    locks.request(lockOf(id), held).catch(reject);
  });
}

/**
 * Wait until whoever lives under this id is gone.
 *
 * @param {string} id
 * @param {() => void} gone
 * @returns {() => void} Stops waiting for it.
 */
export function whenGone(id, gone) {
  const stop = new AbortController();
  globalThis.navigator?.locks?.request(lockOf(id), { signal: stop.signal }, gone).catch(() => {}); // stopped waiting
  return () => stop.abort();
}

/** @param {string} id */
function lockOf(id) {
  return `eventbridge:life:${id}`;
}

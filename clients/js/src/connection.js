import { EventParser } from "./event_parser.js";

/** @import { Credentials, RawNotice, State } from "./notices.js" */
/** @import { Block } from "./event_parser.js" */

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const REFUSALS_WITH_FRESH_CREDENTIALS = 3;

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url
 * @property {string | null} position Where to go on; null: where the URL or the gateway says.
 * @property {boolean} withCredentials Send cookies to another origin.
 * @property {number} silenceMs Without a byte for so long, heartbeats included, the connection counts as dead.
 * @property {(() => Promise<Credentials>) | null} credentials Asked before each attempt.
 * @property {(notice: RawNotice) => void} tell Hears everything, in order.
 */

/**
 * @typedef {{ reason: "stopped" | "refused", status: number, why: string }} End An end for good.
 */

/**
 * One page's stream over HTTP: connects, reads, and goes on where it was, until it is closed or told to stop.
 *
 * It reads with `fetch`, since EventSource hides the status (a proxy's 502 ends it for good, as a 204 does),
 * the heartbeats (a connection that died in a laptop's sleep looks open) and cannot change its URL.
 */
export class Connection {
  /** @type {string | null} */
  position;
  /** @type {ConnectionOptions} */
  #options;
  #stop = new AbortController();
  #baseMs = FIRST_RETRY_MS;
  #failures = 0;
  #refusals = 0;
  #moved = false;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = options;
    this.position = options.position;
  }

  /** Connect, from now on. */
  start() {
    void this.#run();
  }

  /** End without telling anything more. */
  close() {
    this.#stop.abort();
  }

  get #closed() {
    return this.#stop.signal.aborted;
  }

  async #run() {
    while (!this.#closed) {
      this.#tell({ kind: "state", state: "connecting" });
      let why = "";
      this.#moved = false;
      try {
        const end = await this.#once();
        if (end) {
          this.#tell({ kind: "state", state: "closed", ...end });
          this.close();
          return;
        }
        why = "the connection ended";
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      if (this.#closed) return;
      this.#failures = this.#moved ? 0 : this.#failures + 1;
      const retryInMs = retryDelay(this.#baseMs, this.#failures, Math.random());
      this.#tell({ kind: "state", state: "waiting", why, retryInMs });
      await patience(retryInMs, this.#stop.signal);
    }
  }

  /** @returns {Promise<End | null>} Null: to be tried again. Throws where it failed. */
  async #once() {
    const { credentials, withCredentials } = this.#options;
    const brought = credentials ? await credentials() : {};
    if (brought.position && !beginsSomewhere(this.#options.url)) this.position ??= brought.position;
    const watch = new Watch(this.#options.silenceMs, this.#stop.signal);
    try {
      const response = await fetch(this.#url(brought.ticket), {
        headers: {
          accept: "text/event-stream",
          ...(brought.token ? { authorization: `Bearer ${brought.token}` } : {}),
        },
        credentials: withCredentials ? "include" : "same-origin",
        cache: "no-store",
        signal: watch.signal,
      });
      const end = this.#judge(response, credentials !== null);
      if (end || !response.body) return end;
      this.#tell({ kind: "state", state: "open" });
      await this.#read(response.body, watch);
      return null;
    } catch (error) {
      throw watch.ranOut ? new Error("nothing was heard, not even a heartbeat") : error;
    } finally {
      watch.end();
    }
  }

  /**
   * @param {Response} response
   * @param {boolean} canRenew
   * @returns {End | null} Null: a stream. Throws where another try may help.
   */
  #judge(response, canRenew) {
    const { status } = response;
    if (status === 204) return { reason: "stopped", status, why: "the gateway ended the stream for good" };
    if (status === 200) {
      if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
        throw new Error("the answer is no event stream");
      }
      this.#refusals = 0;
      return null;
    }
    if ((status === 401 || status === 403) && canRenew) {
      this.#refusals += 1;
      if (this.#refusals < REFUSALS_WITH_FRESH_CREDENTIALS) throw new Error(`refused with ${status}`);
    }
    if (status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429) {
      return { reason: "refused", status, why: `refused with ${status}` };
    }
    throw new Error(`answered with ${status}`);
  }

  /**
   * @param {ReadableStream<Uint8Array>} body
   * @param {Watch} watch
   */
  async #read(body, watch) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#closed) return;
      watch.heard();
      const blocks = parser.feed(decoder.decode(value, { stream: true }));
      if (parser.retry !== null) this.#baseMs = parser.retry;
      for (const block of blocks) this.#take(block);
    }
  }

  /** @param {Block} block */
  #take({ type, data, lastEventId }) {
    if (lastEventId !== "") {
      this.position = lastEventId;
      this.#moved = true;
    }
    const position = this.position ?? "";
    if (data === null) this.#tell({ kind: "position", position });
    else if (type === "reset") this.#tell({ kind: "reset", reason: String(fields(data)["reason"]), position });
    else if (type === "stale") this.#tell({ kind: "stale", since: fields(data)["since"] });
    else if (type === "fresh") this.#tell({ kind: "fresh" });
    else this.#tell({ kind: "event", type, text: data, position });
  }

  /** @param {RawNotice} notice */
  #tell(notice) {
    if (!this.#closed) this.#options.tell(notice);
  }

  /** @param {string | undefined} ticket */
  #url(ticket) {
    const url = new URL(this.#options.url);
    if (ticket) url.searchParams.set("ticket", ticket);
    if (this.position !== null) {
      url.searchParams.delete("last");
      url.searchParams.set("last_event_id", this.position);
    }
    return url;
  }
}

/** @param {string} url @returns {boolean} Whether it says where to begin. */
export function beginsSomewhere(url) {
  const { searchParams } = new URL(url);
  return searchParams.has("last") || searchParams.has("last_event_id");
}

/** Aborts when nothing was heard for too long, or with another signal. */
class Watch {
  ranOut = false;
  #controller = new AbortController();
  #ms;
  #outer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {number} ms
   * @param {AbortSignal} outer
   */
  constructor(ms, outer) {
    this.#ms = ms;
    this.#outer = outer;
    outer.addEventListener("abort", this.#abort);
    if (outer.aborted) this.#abort();
    this.heard();
  }

  get signal() {
    return this.#controller.signal;
  }

  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.ranOut = true;
      this.#abort();
    }, this.#ms);
  }

  /** Nothing is wanted any more, not even the rest of an answer. */
  end() {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#abort);
    this.#abort();
  }

  #abort = () => this.#controller.abort();
}

/**
 * How long to wait before the next try: the server's `retry:` or a second, doubled with each connection in a
 * row that brought nothing, and up to half as much again, so that pages do not return all at once.
 *
 * @param {number} baseMs
 * @param {number} failures
 * @param {number} chance From 0 to 1.
 * @returns {number} Milliseconds.
 */
export function retryDelay(baseMs, failures, chance) {
  const grown = Math.min(baseMs * 2 ** Math.max(0, failures - 1), Math.max(baseMs, LONGEST_RETRY_MS));
  return Math.round(grown * (1 + chance / 2));
}

/**
 * Wait, but not once the browser says that it is online again.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function patience(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    globalThis.addEventListener?.("online", done);
    signal.addEventListener("abort", done);
  });
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function fields(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

import { Connection } from "./connection.js";
import { randomId } from "./life.js";
import { lockLink, workerLink } from "./links.js";
import { positionOf, reached } from "./notices.js";

/** @import { RawNotice, Stale } from "./notices.js" */
/** @import { Down, Joined } from "./hub.js" */
/** @import { Link } from "./links.js" */
/** @import { Settings } from "./options.js" */

/**
 * @typedef {object} Page What a course brings notices to.
 * @property {() => string | null} position How far the page is.
 * @property {(notice: RawNotice) => void} take
 * @property {(stale: Stale | null) => void} stale How it is at the moment of joining.
 */

/**
 * How notices come to one page: from the hub that it shares with other tabs, or from a connection of its own.
 *
 * A page that is behind the hub reads what lies between through a connection of its own, while the hub's
 * notices wait, so that other tabs see nothing of it.
 */
export class Course {
  /** @type {"worker" | "lock" | "tab" | null} */
  via = null;
  #settings;
  #page;
  #member = randomId();
  #ended = false;
  /** @type {Link | null} */
  #link = null;
  /** @type {Connection | null} */
  #own = null;
  /** @type {string | null} */
  #hub = null;
  /** @type {{ since: string | null, notices: RawNotice[] } | null} What the hub told while we are behind it. */
  #held = null;

  /**
   * @param {Settings} settings
   * @param {Page} page
   */
  constructor(settings, page) {
    this.#settings = settings;
    this.#page = page;
  }

  async begin() {
    const link = await this.#linked();
    if (this.#ended) {
      link?.close();
    } else if (link) {
      this.via = link.via;
      this.#link = link;
      this.#join();
    } else {
      this.via = "tab";
      this.#own = this.#connect((notice) => this.#page.take(notice));
    }
  }

  /** The hub was lost, and nobody follows it by itself. */
  #again() {
    if (this.#ended) return;
    this.#link?.close();
    this.#own?.close();
    this.#link = this.#own = this.#held = null;
    void this.begin();
  }

  end() {
    this.#ended = true;
    this.#own?.close();
    this.#link?.post({ say: "leave" });
    this.#link?.close();
    this.#own = this.#link = null;
  }

  /** @returns {Promise<Link | null>} */
  async #linked() {
    const { share, key, workerUrl } = this.#settings;
    const name = `eventbridge:1:${key}`;
    const receive = (/** @type {Down} */ down) => this.#receive(down);
    if ((share === "auto" || share === "worker") && "SharedWorker" in globalThis) {
      try {
        return await workerLink(name, this.#member, workerUrl, receive, () => this.#again());
      } catch {
        // a policy or another origin forbids it
      }
    }
    if (share !== "none" && "BroadcastChannel" in globalThis && globalThis.navigator?.locks) {
      try {
        return await lockLink(name, this.#member, receive);
      } catch {
        // the same
      }
    }
    return null;
  }

  #join() {
    const { url, withCredentials, silenceMs, credentials } = this.#settings;
    const position = this.#page.position();
    this.#link?.post({ say: "join", url, position, withCredentials, silenceMs, brings: credentials !== null });
  }

  /** @param {Down} down */
  #receive(down) {
    if (this.#ended) return;
    if (down.say === "hub") this.#join();
    else if (down.say === "joined") this.#joined(down);
    else if (down.hub !== this.#hub && down.say === "notice") return;
    else if (down.say === "ask") void this.#answer(down.ask);
    else if (down.notice.kind === "state" || !this.#held) this.#page.take(down.notice);
    else {
      this.#held.notices.push(down.notice);
      this.#meet();
    }
  }

  /** @param {Joined} joined */
  #joined({ hub, position, state, stale, missed, behind }) {
    this.#hub = hub;
    this.#own?.close();
    this.#own = this.#held = null;
    this.#page.take(state);
    this.#page.stale(stale);
    if (behind) {
      this.#held = { since: position, notices: [] };
      this.#own = this.#connect((notice) => {
        if (notice.kind === "state" && notice.state !== "closed") return;
        this.#page.take(notice);
        this.#meet();
      });
    } else {
      for (const notice of missed) this.#page.take(notice);
      if (position !== null && this.#page.position() === null) this.#page.take({ kind: "position", position });
    }
  }

  /** Go over to the hub where the page has come to a point that the hub has been at, too. */
  #meet() {
    if (!this.#held || this.#ended) return;
    const { since, notices } = this.#held;
    const position = this.#page.position();
    const at = notices.findLastIndex((notice) => reached(position, positionOf(notice)));
    if (at < 0 && !reached(position, since)) return;
    this.#own?.close();
    this.#own = this.#held = null;
    for (const notice of notices.slice(at + 1)) this.#page.take(notice);
  }

  /** @param {(notice: RawNotice) => void} tell */
  #connect(tell) {
    const position = this.#page.position();
    const connection = new Connection({ ...this.#settings, position, tell });
    connection.start();
    return connection;
  }

  /** @param {number} ask */
  async #answer(ask) {
    try {
      const credentials = (await this.#settings.credentials?.()) ?? null;
      this.#link?.post({ say: "credentials", ask, credentials });
    } catch (error) {
      this.#link?.post({ say: "credentials", ask, credentials: null, why: String(error) });
    }
  }
}

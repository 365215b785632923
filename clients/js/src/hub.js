import { beginsSomewhere, Connection } from "./connection.js";
import { randomId, whenGone } from "./life.js";
import { positionOf } from "./notices.js";

/** @import { Credentials, RawNotice, Stale, StateChange } from "./notices.js" */

const KEPT_NOTICES = 500;
const ANSWER_MS = 10_000;

/**
 * What a tab says to the hub.
 *
 * @typedef {object} Join
 * @property {"join"} say
 * @property {string} url
 * @property {string | null} position
 * @property {boolean} withCredentials
 * @property {number} silenceMs
 * @property {boolean} brings Whether the tab has credentials to ask it for.
 *
 * @typedef {{ say: "leave" }} Leave
 * @typedef {{ say: "credentials", ask: number, credentials: Credentials | null, why?: string }} Answer
 * @typedef {Join | Leave | Answer} Up
 *
 * What the hub says to a tab; `hub` tells two hubs apart that followed each other.
 *
 * @typedef {object} Joined
 * @property {"joined"} say
 * @property {string} hub
 * @property {string | null} position
 * @property {StateChange} state
 * @property {Stale | null} stale
 * @property {RawNotice[]} missed What came after the tab's position.
 * @property {boolean} behind The tab's position is none that the hub remembers: read what lies between.
 *
 * @typedef {{ say: "notice", hub: string, notice: RawNotice }} Passed
 * @typedef {{ say: "ask", hub: string, ask: number }} Ask
 * @typedef {{ say: "hub", worker?: string }} Here A hub is there: join it. `worker`: the id under which it lives.
 * @typedef {Joined | Passed | Ask | Here} Down
 */

/** One connection, and the tabs that share it. Lives in a shared worker, or in the tab that leads. */
export class Hub {
  #id = randomId();
  #send;
  #gone;
  /** @type {Map<string, { brings: boolean, forget: () => void }>} */
  #members = new Map();
  /** @type {Connection | null} */
  #connection = null;
  /** @type {StateChange} */
  #state = { kind: "state", state: "connecting" };
  /** @type {Stale | null} */
  #stale = null;
  /** @type {RawNotice[]} */
  #recent = [];
  #asked = 0;
  /** @type {Map<number, { member: string, answer: (answer: Answer | null) => void }>} */
  #asks = new Map();

  /**
   * @param {(message: Down, to: string | null) => void} send To one tab, or (null) to all.
   * @param {(member: string) => void} [gone] Hears which tab is there no more.
   */
  constructor(send, gone = () => {}) {
    this.#send = send;
    this.#gone = gone;
  }

  /**
   * @param {string} member
   * @param {Up} message
   */
  take(member, message) {
    if (message.say === "join") this.#join(member, message);
    else if (message.say === "leave") this.#leave(member);
    else this.#asks.get(message.ask)?.answer(message);
  }

  /** End the connection; no tab hears of it. */
  close() {
    for (const { forget } of this.#members.values()) forget();
    this.#members.clear();
    this.#end();
  }

  /**
   * @param {string} member
   * @param {Join} join
   */
  #join(member, join) {
    this.#members.get(member)?.forget();
    this.#members.set(member, { brings: join.brings, forget: whenGone(member, () => this.#leave(member)) });
    const first = !this.#connection;
    if (first) this.#begin(join);
    const position = this.#connection?.position ?? null;
    const missed = first || join.position === position ? [] : this.#since(join);
    this.#send(
      {
        say: "joined",
        hub: this.#id,
        position,
        state: this.#state,
        stale: this.#stale,
        missed: missed ?? [],
        behind: missed === null,
      },
      member,
    );
  }

  /** @param {string} member */
  #leave(member) {
    this.#members.get(member)?.forget();
    if (!this.#members.delete(member)) return;
    this.#gone(member);
    for (const ask of this.#asks.values()) if (ask.member === member) ask.answer(null);
    if (this.#members.size === 0) this.#end();
  }

  /** @param {Join} join */
  #begin(join) {
    this.#state = { kind: "state", state: "connecting" };
    this.#recent = join.position === null ? [] : [{ kind: "position", position: join.position }];
    this.#connection = new Connection({
      ...join,
      credentials: join.brings ? () => this.#credentials() : null,
      tell: (notice) => this.#hear(notice),
    });
    this.#connection.start();
  }

  #end() {
    this.#connection?.close();
    this.#connection = null;
    this.#stale = null;
    this.#recent = [];
  }

  /** @param {RawNotice} notice */
  #hear(notice) {
    if (notice.kind === "state") this.#state = notice;
    else if (notice.kind === "stale") this.#stale = notice;
    else if (notice.kind === "fresh") this.#stale = null;
    else if (this.#recent.push(notice) > KEPT_NOTICES) this.#recent.shift();
    this.#send({ say: "notice", hub: this.#id, notice }, null);
    if (notice.kind === "state" && notice.state === "closed") this.#end();
  }

  /**
   * @param {Join} join
   * @returns {RawNotice[] | null} What came after the tab's position; null where that is not known.
   */
  #since({ position, url }) {
    if (position === null) return beginsSomewhere(url) ? null : [];
    const at = this.#recent.findLastIndex((notice) => positionOf(notice) === position);
    return at < 0 ? null : this.#recent.slice(at + 1);
  }

  /** @returns {Promise<Credentials>} From whichever tab can. */
  async #credentials() {
    let why = "no tab is left to ask";
    for (const [member, { brings }] of this.#members) {
      if (!brings) continue;
      const answer = await this.#ask(member);
      if (answer?.credentials) return answer.credentials;
      why = answer?.why ?? "the tab does not answer";
    }
    throw new Error(`no credentials: ${why}`);
  }

  /**
   * @param {string} member
   * @returns {Promise<Answer | null>}
   */
  #ask(member) {
    const ask = ++this.#asked;
    return new Promise((resolve) => {
      /** @param {Answer | null} answer */
      const done = (answer) => {
        clearTimeout(timer);
        this.#asks.delete(ask);
        resolve(answer);
      };
      const timer = setTimeout(() => done(null), ANSWER_MS);
      this.#asks.set(ask, { member, answer: done });
      this.#send({ say: "ask", hub: this.#id, ask }, member);
    });
  }
}

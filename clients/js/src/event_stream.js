import { Course } from "./course.js";
import { Kept } from "./kept.js";
import { NoticeQueue } from "./notice_queue.js";
import { reached } from "./notices.js";
import { settings } from "./options.js";
import { RecentIds } from "./recent_ids.js";

/** @import { Fresh, RawEvent, RawNotice, Reset, Stale, State, StateChange } from "./notices.js" */
/** @import { Options } from "./options.js" */

const KEPT_IDS = 1_000;

/**
 * @typedef {object} StreamEvent One domain event, for the first time.
 * @property {"event"} kind
 * @property {string} type Such as `Genesis.Session.Started`.
 * @property {any} data The parsed JSON; the text where it is no JSON.
 * @property {string} position
 *
 * @typedef {StreamEvent | Reset | Stale | Fresh | StateChange} Notice
 */

/**
 * A user's stream. Dispatches `event`, `reset`, `stale`, `fresh` and `state`, each a `CustomEvent` whose `detail`
 * is the notice; `for await` gives all but `state`, in order, and ends with the stream.
 */
export class EventStream extends EventTarget {
  /** Events that came again and were not shown again. */
  repeats = 0;
  #settings;
  #kept;
  #ids;
  /** @type {string | null} */
  #position;
  /** @type {StateChange} */
  #state = { kind: "state", state: "connecting" };
  #stale = false;
  /** @type {Set<NoticeQueue<Exclude<Notice, StateChange>>>} */
  #queues = new Set();
  /** @type {Course | null} What is under way; null while the page is frozen, and at the end. */
  #course = null;

  /**
   * @param {string | URL} url The gateway's `/events`.
   * @param {Options} options
   */
  constructor(url, options) {
    super();
    this.#settings = settings(url, options);
    const { remember, key, dedupe, position, signal } = this.#settings;
    this.#kept = new Kept(remember, key);
    // A page that says where its state is from has not seen what the page before it saw later.
    const kept = position === null ? this.#kept.load() : { position, ids: [] };
    this.#position = kept.position;
    this.#ids = new RecentIds(dedupe, kept.ids);
    for (const [kind, heard] of this.#settings.listeners) {
      this.addEventListener(kind, (event) => heard(/** @type {CustomEvent} */ (event).detail));
    }
    globalThis.addEventListener?.("pagehide", this.#hide);
    globalThis.addEventListener?.("pageshow", this.#show);
    signal?.addEventListener("abort", this.#abort);
    if (signal?.aborted) this.close();
    else this.#begin();
  }

  /** @returns {State} */
  get state() {
    return this.#state.state;
  }

  /** The point up to which everything was handed out; null before the first one is known. */
  get position() {
    return this.#position;
  }

  /** Whether the gateway said that what it has may be old. */
  get stale() {
    return this.#stale;
  }

  /** End it, for this page. */
  close() {
    this.#finish({ kind: "state", state: "closed", reason: "left" });
  }

  /** @returns {AsyncIterableIterator<Exclude<Notice, StateChange>, undefined>} */
  [Symbol.asyncIterator]() {
    const queue = new NoticeQueue(this.#settings.maxWaiting, () => this.#save());
    if (this.#state.state === "closed") queue.end();
    else this.#queues.add(queue);
    return {
      next: () => queue.next(),
      return: () => {
        this.#queues.delete(queue);
        queue.leave();
        return Promise.resolve({ value: undefined, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** @returns {"worker" | "lock" | "tab" | null} How events come: shared, or not; null until that is known. */
  get via() {
    return this.#course?.via ?? null;
  }

  #begin() {
    this.#course = new Course(this.#settings, {
      position: () => this.#position,
      take: (notice) => this.#take(notice),
      stale: (stale) => {
        if (stale) this.#take(stale);
        else if (this.#stale) this.#take({ kind: "fresh" });
      },
    });
    void this.#course.begin();
  }

  /** @param {RawNotice} notice */
  #take(notice) {
    const before = this.#position;
    if (notice.kind === "event") this.#event(notice, before);
    else if (notice.kind === "position") this.#advance(notice.position);
    else if (notice.kind === "state") this.#change(notice);
    else if (notice.kind === "reset") {
      this.#position = notice.position;
      this.#hand(notice, before);
      this.#save();
    } else if ((notice.kind === "stale") !== this.#stale) {
      this.#stale = notice.kind === "stale";
      this.#hand(notice, before);
    }
  }

  /**
   * @param {RawEvent} raw
   * @param {string | null} before
   */
  #event({ type, text, position }, before) {
    const data = parsed(text);
    const id = data?.event_id;
    const known = typeof id === "string" && !this.#ids.add(id);
    const old = reached(before, position);
    if (!old) this.#position = position || before;
    if (known || old) this.repeats += 1;
    else this.#hand({ kind: "event", type, data, position }, before);
    this.#save();
  }

  /** @param {string} position */
  #advance(position) {
    if (reached(this.#position, position)) return;
    this.#position = position;
    this.#save();
  }

  /** @param {StateChange} change */
  #change(change) {
    if (change.state === "closed") this.#finish(change);
    else {
      this.#state = change;
      this.dispatchEvent(new CustomEvent("state", { detail: change }));
    }
  }

  /**
   * @param {Exclude<Notice, StateChange>} notice
   * @param {string | null} before
   */
  #hand(notice, before) {
    for (const queue of this.#queues) queue.give(notice, before);
    this.dispatchEvent(new CustomEvent(notice.kind, { detail: notice }));
  }

  /** What is kept lies before whatever a loop has not seen to its end. */
  #save() {
    const slowest = this.#slowest();
    const position = slowest ? slowest.before : this.#position;
    if (position !== null) this.#kept.savePosition(position);
  }

  #slowest() {
    let slowest = null;
    for (const queue of this.#queues) if (queue.behind > (slowest?.behind ?? 0)) slowest = queue;
    return slowest;
  }

  /** @param {StateChange} change */
  #finish(change) {
    if (this.#state.state === "closed") return;
    this.#stop();
    globalThis.removeEventListener?.("pagehide", this.#hide);
    globalThis.removeEventListener?.("pageshow", this.#show);
    this.#settings.signal?.removeEventListener("abort", this.#abort);
    this.#state = change;
    this.dispatchEvent(new CustomEvent("state", { detail: change }));
    for (const queue of this.#queues) queue.end();
  }

  #stop() {
    this.#course?.end();
    this.#course = null;
    const unseen = this.#slowest()?.behind ?? 0;
    const ids = this.#ids.last(KEPT_IDS + unseen);
    this.#kept.saveIds(ids.slice(0, Math.max(0, ids.length - unseen)));
  }

  #abort = () => this.close();

  #hide = () => this.#stop();

  #show = (/** @type {PageTransitionEvent} */ { persisted }) => {
    if (persisted && !this.#course) this.#begin();
  };
}

/**
 * @param {string} text
 * @returns {any}
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const REMEMBERED = 50_000;

/** What was produced for the user, held against what this page has shown. Counts by the events' ids. */
export class Proof {
  repeated = 0;
  resets = 0;
  #shown = new Set();
  /** @type {Map<string, string[]>} The ids of each session's events, in order, from the first that is asked for. */
  #sessions = new Map();
  #produced = 0;
  #excused = false;

  /** A new connection: repeats are excused only after it has said `reset`. */
  connected() {
    this.#excused = false;
  }

  /** Something may be missing, and what is kept comes again. */
  reset() {
    this.resets += 1;
    this.#excused = true;
  }

  /**
   * @param {string} id
   * @returns {boolean} Whether it is to be shown.
   */
  arrived(id) {
    const first = !this.#shown.has(id);
    this.#shown.add(id);
    if (this.#shown.size > REMEMBERED) this.#shown.delete(this.#shown.values().next().value);
    if (!first && !this.#excused) this.repeated += 1;
    return first;
  }

  /** @param {[string, string][]} events Each with its id and its session's. */
  produced(events) {
    this.#produced += events.length;
    for (const [id, session] of events) {
      const ids = this.#sessions.get(session) ?? [];
      ids.push(id);
      this.#sessions.set(session, ids);
    }
  }

  /** Missing is what a later event of its session has overtaken; before that it is on the way. */
  count() {
    let missing = 0;
    let onTheWay = 0;
    for (const [session, ids] of this.#sessions) {
      while (ids.length && this.#shown.has(ids[0])) ids.shift();
      if (!ids.length) this.#sessions.delete(session);
      const last = ids.findLastIndex((id) => this.#shown.has(id));
      ids.forEach((id, at) => {
        if (this.#shown.has(id)) return;
        if (at < last) missing += 1;
        else onTheWay += 1;
      });
    }
    const shown = this.#produced ? this.#produced - missing - onTheWay : this.#shown.size;
    return { produced: this.#produced, shown, missing, onTheWay, repeated: this.repeated, resets: this.resets };
  }
}

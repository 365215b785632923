/** @template T */
export class NoticeQueue {
  /** @type {{ value: T, before: string | null }[]} */
  #waiting = [];
  /** @type {{ before: string | null } | null} */
  #inHand = null;
  /** @type {((result: IteratorResult<T, undefined>) => void)[]} */
  #wanted = [];
  #ended = false;
  /** @type {{ before: string | null, count: number } | null} Where the loop lost the thread, and how much since. */
  #lost = null;
  #limit;
  #settled;

  /**
   * What one `for await` loop has still to see. It counts as seen when the loop asks for the next one.
   *
   * @param {number} limit With more waiting than that, the loop ends with an error.
   * @param {() => void} settled Called whenever more is seen.
   */
  constructor(limit, settled) {
    this.#limit = limit;
    this.#settled = settled;
  }

  /** The position before the oldest thing that was not seen to its end. */
  get before() {
    return (this.#inHand ?? this.#waiting[0] ?? this.#lost)?.before ?? null;
  }

  /** How much has not been seen to its end. */
  get behind() {
    return this.#waiting.length + (this.#inHand ? 1 : 0) + (this.#lost?.count ?? 0);
  }

  /**
   * @param {T} value
   * @param {string | null} before The position before it.
   */
  give(value, before) {
    if (this.#ended) return;
    const wanted = this.#wanted.shift();
    if (this.#lost) this.#lost.count += 1;
    else if (wanted) {
      this.#inHand = { before };
      wanted({ value, done: false });
    } else if (this.#waiting.length < this.#limit) this.#waiting.push({ value, before });
    else this.#lost = { before, count: 1 };
  }

  /** Nothing more will be given; what waits can still be seen. */
  end() {
    this.#ended = true;
    for (const wanted of this.#wanted.splice(0)) wanted({ value: undefined, done: true });
  }

  /** @returns {Promise<IteratorResult<T, undefined>>} */
  next() {
    this.#inHand = null;
    const first = this.#waiting.shift();
    if (first) this.#inHand = { before: first.before };
    this.#settled();
    if (first) return Promise.resolve({ value: first.value, done: false });
    if (this.#lost) return Promise.reject(new Error(`the loop fell more than ${this.#limit} events behind`));
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#wanted.push(resolve));
  }

  /** The loop was left. */
  leave() {
    this.#inHand = this.#lost = null;
    this.#waiting = [];
    this.end();
    this.#settled();
  }
}

/** The ids of the last events, at most `limit` of them. */
export class RecentIds {
  /** @type {Set<string>} */
  #ids;
  #limit;

  /**
   * @param {number} limit
   * @param {Iterable<string>} [ids] Oldest first.
   */
  constructor(limit, ids = []) {
    this.#limit = limit;
    this.#ids = new Set();
    for (const id of ids) this.add(id);
  }

  /**
   * @param {string} id
   * @returns {boolean} Whether it is new.
   */
  add(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#limit) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** @param {number} count @returns {string[]} The last ones, oldest first. */
  last(count) {
    return [...this.#ids].slice(-count);
  }
}

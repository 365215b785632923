/**
 * What is kept over a page load: the position, and the ids of the last events.
 *
 * A storage that refuses (private window, full, blocked by a policy) is the same as none.
 */
export class Kept {
  #storage;
  #key;

  /**
   * @param {"session" | "local" | "none"} where
   * @param {string} key
   */
  constructor(where, key) {
    this.#key = `eventbridge:${key}`;
    this.#storage = storage(where);
  }

  /** @returns {{ position: string | null, ids: string[] }} */
  load() {
    try {
      const ids = JSON.parse(this.#storage?.getItem(`${this.#key}:ids`) ?? "[]");
      const position = this.#storage?.getItem(this.#key) ?? null;
      return { position, ids: Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [] };
    } catch {
      return { position: null, ids: [] };
    }
  }

  /** @param {string} position */
  savePosition(position) {
    try {
      this.#storage?.setItem(this.#key, position);
    } catch {
      this.#storage = null;
    }
  }

  /** @param {string[]} ids */
  saveIds(ids) {
    try {
      this.#storage?.setItem(`${this.#key}:ids`, JSON.stringify(ids));
    } catch {
      this.#storage = null;
    }
  }
}

/**
 * @param {"session" | "local" | "none"} where
 * @returns {Storage | null}
 */
function storage(where) {
  if (where === "none") return null;
  try {
    return where === "local" ? globalThis.localStorage : globalThis.sessionStorage;
  } catch {
    return null;
  }
}

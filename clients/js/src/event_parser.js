/**
 * @typedef {object} Block One event of the wire, or a bare `id:` (then `data` is null).
 * @property {string} type `message` where no `event:` line came.
 * @property {string | null} data
 * @property {string} lastEventId
 */

/** Reads text/event-stream as the HTML standard says (section 9.2.6); text may be cut anywhere. */
export class EventParser {
  /** @type {number | null} What the last `retry:` line said, milliseconds. */
  retry = null;
  #rest = "";
  #afterReturn = false;
  #type = "";
  #data = "";
  #hasData = false;
  #id = "";
  #moved = false;

  /**
   * @param {string} text The next piece of the decoded stream, without its byte order mark.
   * @returns {Block[]} What it completes.
   */
  feed(text) {
    if (text === "") return [];
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    /** @type {Block[]} */
    const blocks = [];
    for (const line of lines) {
      if (line === "") this.#dispatch(blocks);
      else this.#field(line);
    }
    return blocks;
  }

  /** @param {Block[]} blocks */
  #dispatch(blocks) {
    if (this.#hasData) {
      blocks.push({ type: this.#type || "message", data: this.#data, lastEventId: this.#id });
    } else if (this.#moved) {
      blocks.push({ type: "message", data: null, lastEventId: this.#id });
    }
    this.#type = this.#data = "";
    this.#hasData = this.#moved = false;
  }

  /** @param {string} line */
  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "data") {
      this.#data = this.#hasData ? `${this.#data}\n${value}` : value;
      this.#hasData = true;
    } else if (name === "event") {
      this.#type = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
      this.#moved = true;
    } else if (name === "retry" && /^\d+$/.test(value)) {
      this.retry = Number(value);
    }
  }
}

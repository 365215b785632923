import { EventStream } from "./event_stream.js";

/**
 * Follow a user's stream.
 *
 * @param {string | URL} url The gateway's `/events`.
 * @param {import("./options.js").Options} [options]
 * @returns {EventStream}
 */
export function connect(url, options = {}) {
  return new EventStream(url, options);
}

export { EventStream };

/**
 * @typedef {import("./options.js").Options} Options
 * @typedef {import("./event_stream.js").Notice} Notice
 * @typedef {import("./event_stream.js").StreamEvent} StreamEvent
 * @typedef {import("./notices.js").Reset} Reset
 * @typedef {import("./notices.js").Stale} Stale
 * @typedef {import("./notices.js").Fresh} Fresh
 * @typedef {import("./notices.js").StateChange} StateChange
 * @typedef {import("./notices.js").State} State
 */

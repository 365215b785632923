/**
 * What a stream tells, as plain values that also pass between tabs and a worker.
 *
 * @typedef {"connecting" | "open" | "waiting" | "closed"} State
 *   `waiting`: between two tries; `closed`: for good.
 *
 * @typedef {object} RawEvent An event as it came.
 * @property {"event"} kind
 * @property {string} type The event's type, such as `Genesis.Session.Started`.
 * @property {string} text Its data.
 * @property {string} position The point in the stream behind this event.
 *
 * @typedef {object} Advance Nothing for this page, but the position moved.
 * @property {"position"} kind
 * @property {string} position
 *
 * @typedef {object} Reset Something may be missing before this point: load the page's state anew.
 * @property {"reset"} kind
 * @property {string} reason `epoch`, `trimmed`, `expired`, `invalid` or `replay_limit`.
 * @property {string} position Where the stream goes on.
 *
 * @typedef {object} Stale The gateway is cut off from its store: what is shown may be old.
 * @property {"stale"} kind
 * @property {unknown} since As the gateway sent it.
 *
 * @typedef {object} Fresh The end of `stale`.
 * @property {"fresh"} kind
 *
 * @typedef {object} StateChange
 * @property {"state"} kind
 * @property {State} state
 * @property {string} [why] In words, where something ended or failed.
 * @property {number} [retryInMs] With `waiting`.
 * @property {"stopped" | "refused" | "left"} [reason] With `closed`: by the gateway's 204, by a status that no
 *   repeating mends, or by the page itself.
 * @property {number} [status] The HTTP status, where one decided.
 *
 * @typedef {RawEvent | Advance | Reset | Stale | Fresh | StateChange} RawNotice
 */

/**
 * @typedef {object} Credentials What one attempt to connect brings along.
 * @property {string} [ticket] For `?ticket=`.
 * @property {string} [token] For `Authorization: Bearer`.
 * @property {string} [position] Where to begin, if nothing else says so.
 */

const POSITION = /^([^.]+)\.(\d+)-(\d+)$/;

/**
 * Whether the first position lies at or behind the second. Only positions of one epoch can be compared; for
 * others, and for what is no position, the answer is no.
 *
 * @param {string | null} first
 * @param {string | null} second
 * @returns {boolean}
 */
export function reached(first, second) {
  if (first === null || second === null) return false;
  if (first === second) return true;
  const [a, b] = [POSITION.exec(first), POSITION.exec(second)];
  if (!a || !b || a[1] !== b[1]) return false;
  const [ms, than] = [BigInt(a[2] ?? 0), BigInt(b[2] ?? 0)];
  return ms === than ? BigInt(a[3] ?? 0) >= BigInt(b[3] ?? 0) : ms > than;
}

/**
 * The position that a notice leads to; null where it does not move.
 *
 * @param {RawNotice} notice
 * @returns {string | null}
 */
export function positionOf(notice) {
  return "position" in notice ? notice.position : null;
}

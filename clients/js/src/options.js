/** @import { Credentials, Fresh, Reset, Stale, StateChange } from "./notices.js" */
/** @import { StreamEvent } from "./event_stream.js" */

/**
 * @typedef {object} Options
 * @property {string} [user] Whatever tells the users of one browser apart, such as the user's id. It names the
 *   shared connection and what is kept, and is not sent. Needed unless both are switched off.
 * @property {"auto" | "worker" | "lock" | "none"} [share] How tabs share one connection: through a worker, else a
 *   tab that leads (`auto`); `none`: each tab has its own.
 * @property {"session" | "local" | "none"} [remember] Where the position is kept over a page load: `session` (each
 *   tab's own), `local` (what any tab saw last), or nowhere.
 * @property {string} [position] Where to begin: the position that the page's state was rendered at. It goes
 *   before what is kept.
 * @property {() => Promise<string | { ticket: string, position?: string }>} [ticket] Fetches a one-time ticket,
 *   before each attempt to connect; the gateway's whole answer to `POST /ticket` will do.
 * @property {() => Promise<string>} [token] Fetches a token for `Authorization: Bearer`, before each attempt.
 * @property {boolean} [withCredentials] Send cookies to a gateway of another origin.
 * @property {number} [dedupe] How many of the last events are recognised when they come again (2,000).
 * @property {number} [silenceMs] Without a byte for so long the connection counts as dead (45,000: three
 *   heartbeats).
 * @property {number} [maxWaiting] How far a `for await` loop may fall behind (10,000 events).
 * @property {string | URL} [workerUrl] Where `worker.js` lies, where a bundler does not find it by itself.
 * @property {AbortSignal} [signal] Closes the stream.
 * @property {(event: StreamEvent) => void} [onEvent]
 * @property {(reset: Reset) => void} [onReset]
 * @property {(stale: Stale) => void} [onStale]
 * @property {(fresh: Fresh) => void} [onFresh]
 * @property {(state: StateChange) => void} [onState]
 */

/**
 * @typedef {object} Settings Options as they are in force.
 * @property {string} url
 * @property {string} key Names the shared connection and what is kept.
 * @property {"auto" | "worker" | "lock" | "none"} share
 * @property {"session" | "local" | "none"} remember
 * @property {string | null} position
 * @property {(() => Promise<Credentials>) | null} credentials
 * @property {boolean} withCredentials
 * @property {number} dedupe
 * @property {number} silenceMs
 * @property {number} maxWaiting
 * @property {string | URL | null} workerUrl
 * @property {AbortSignal | null} signal
 * @property {[string, (detail: any) => void][]} listeners
 */

/**
 * @param {string | URL} url
 * @param {Options} options
 * @returns {Settings}
 */
export function settings(url, options) {
  const { user, share = "auto", remember = "session", ticket, token } = options;
  if (!user && (share !== "none" || remember !== "none")) {
    throw new TypeError('`user` is needed to keep the users of a browser apart (or `share` and `remember` "none")');
  }
  const resolved = new URL(url, globalThis.location?.href);
  return {
    url: resolved.href,
    key: JSON.stringify([resolved.href, user ?? ""]),
    share,
    remember,
    position: options.position ?? null,
    credentials: ticket || token ? () => fetched(ticket, token) : null,
    withCredentials: options.withCredentials ?? false,
    dedupe: options.dedupe ?? 2_000,
    silenceMs: options.silenceMs ?? 45_000,
    maxWaiting: options.maxWaiting ?? 10_000,
    workerUrl: options.workerUrl ?? null,
    signal: options.signal ?? null,
    listeners: [
      ...listener("event", options.onEvent),
      ...listener("reset", options.onReset),
      ...listener("stale", options.onStale),
      ...listener("fresh", options.onFresh),
      ...listener("state", options.onState),
    ],
  };
}

/**
 * @param {Options["ticket"]} ticket
 * @param {Options["token"]} token
 * @returns {Promise<Credentials>}
 */
async function fetched(ticket, token) {
  const [brought, bearer] = await Promise.all([ticket?.(), token?.()]);
  const answer = typeof brought === "string" ? { ticket: brought } : brought;
  return {
    ...(answer ? { ticket: answer.ticket } : {}),
    ...(answer?.position ? { position: answer.position } : {}),
    ...(bearer ? { token: bearer } : {}),
  };
}

/**
 * @param {string} kind
 * @param {((detail: any) => void) | undefined} heard
 * @returns {[string, (detail: any) => void][]}
 */
function listener(kind, heard) {
  return heard ? [[kind, heard]] : [];
}

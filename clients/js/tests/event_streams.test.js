import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createParser } from "eventsource-parser";

import { EventParser } from "../src/event_parser.js";

/**
 * The table of `tests/event_streams.json`, which the server's own tests and Chromium's EventSource read, too.
 * @type {{name: string, stream: string, events: {type: string, data: string, lastEventId: string}[]}[]}
 */
const CASES = JSON.parse(readFileSync(new URL("../../../tests/event_streams.json", import.meta.url), "utf8"));

/** @param {string} stream As `TextDecoder` hands it on: without its byte order mark. */
const decoded = (stream) => new TextDecoder().decode(new TextEncoder().encode(stream));

/** @param {string} stream */
function others(stream) {
  /** @type {{type: string, data: string}[]} */
  const events = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ type: event || "message", data }),
  });
  parser.feed(stream);
  return events;
}

for (const { name, stream, events } of CASES) {
  test(`${name}, as the client reads it`, () => {
    const read = new EventParser().feed(decoded(stream)).filter(({ data }) => data !== null);

    assert.deepEqual(read, events);
  });

  test(`${name}, as a parser reads it that is not ours`, () => {
    assert.deepEqual(
      others(decoded(stream)),
      events.map(({ type, data }) => ({ type, data })),
    );
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser } from "../src/event_parser.js";

/** @param {string[]} pieces */
function parse(...pieces) {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.feed(piece));
}

const EXAMPLES = /** @type {const} */ ([
  ["an event", "event: a\nid: 1\ndata: x\n\n", [{ type: "a", data: "x", lastEventId: "1" }]],
  ["several lines of data", "data: x\ndata\ndata:y\n\n", [{ type: "message", data: "x\n\ny", lastEventId: "" }]],
  ["one space is taken away", "data:  x\n\n", [{ type: "message", data: " x", lastEventId: "" }]],
  ["every kind of line end", "data: x\r\n\r\ndata: y\r\rdata: z\n\n", [
    { type: "message", data: "x", lastEventId: "" },
    { type: "message", data: "y", lastEventId: "" },
    { type: "message", data: "z", lastEventId: "" },
  ]],
  ["an empty line behind CRLF", "data: x\r\n\ndata: y\r\n\n", [
    { type: "message", data: "x", lastEventId: "" },
    { type: "message", data: "y", lastEventId: "" },
  ]],
  ["a bare id moves the position", "id: 7\n\n", [{ type: "message", data: null, lastEventId: "7" }]],
  ["an id stays for the events after it", "id: 7\ndata: x\n\ndata: y\n\n", [
    { type: "message", data: "x", lastEventId: "7" },
    { type: "message", data: "y", lastEventId: "7" },
  ]],
  ["an id with NUL is passed over", "id: 7\0\ndata: x\n\n", [{ type: "message", data: "x", lastEventId: "" }]],
  ["a comment and an unknown field are nothing", ": x\nfoo: y\n\n", []],
  ["an event without data is nothing", "event: a\n\n", []],
  ["what is not closed by an empty line is nothing", "data: x\n", []],
]);

for (const [name, text, expected] of EXAMPLES) {
  test(name, () => assert.deepEqual(parse(text), expected));

  test(`${name}, cut anywhere`, () => {
    for (let at = 0; at <= text.length; at++) {
      assert.deepEqual(parse(text.slice(0, at), text.slice(at)), expected);
    }
    assert.deepEqual(parse(...text), expected);
  });
}

test("retry is read only where it is a number", () => {
  const parser = new EventParser();

  parser.feed("retry: 1500\nretry: 1e9\nretry: -1\nretry:\n");

  assert.equal(parser.retry, 1500);
});

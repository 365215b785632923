import assert from "node:assert/strict";
import { test } from "node:test";

import { retryDelay } from "../src/connection.js";
import { NoticeQueue } from "../src/notice_queue.js";
import { reached } from "../src/notices.js";
import { settings } from "../src/options.js";
import { RecentIds } from "../src/recent_ids.js";

test("positions are compared as numbers, and only within one epoch", () => {
  assert.equal(reached("a.9-0", "a.10-0"), false);
  assert.equal(reached("a.10-0", "a.9-0"), true);
  assert.equal(reached("a.1-18446744073709551615", "a.1-18446744073709551614"), true);
  assert.equal(reached("b.9-0", "a.1-0"), false);
  assert.equal(reached("x", "x"), true);
  assert.equal(reached(null, "a.1-0"), false);
});

test("only the last ids are known", () => {
  const ids = new RecentIds(2);

  const added = ["a", "b", "a", "c", "a"].map((id) => ids.add(id));

  assert.deepEqual(added, [true, true, false, true, true]);
  assert.deepEqual(ids.last(9), ["c", "a"]);
});

test("the server's wish is waited for at least, and longer with each failure, up to a limit", () => {
  assert.equal(retryDelay(2_000, 0, 0), 2_000);
  assert.equal(retryDelay(2_000, 1, 0.5), 2_500);
  assert.equal(retryDelay(2_000, 3, 0), 8_000);
  assert.equal(retryDelay(2_000, 99, 0), 30_000);
  assert.equal(retryDelay(60_000, 9, 0), 60_000);
});

test("what a loop has not seen to its end keeps the position back", async () => {
  const queue = new NoticeQueue(10, () => {});

  queue.give("first", "p0");
  queue.give("second", "p1");
  const befores = [queue.before];
  await queue.next();
  befores.push(queue.before);
  await queue.next();
  befores.push(queue.before);
  void queue.next();

  assert.deepEqual(befores, ["p0", "p0", "p1"]);
  assert.equal(queue.behind, 0);
});

test("a loop that falls too far behind ends with an error, and keeps the position where it lost the thread", async () => {
  const queue = new NoticeQueue(1, () => {});
  for (const [at, value] of ["first", "second", "third"].entries()) queue.give(value, `p${at}`);

  assert.deepEqual(await queue.next(), { value: "first", done: false });
  await assert.rejects(queue.next(), /more than 1 events behind/);
  assert.equal(queue.before, "p1");
});

test("what is shared or kept wants a user", () => {
  assert.throws(() => settings("https://gateway.example/events", {}), /`user` is needed/);
  assert.throws(() => settings("https://gateway.example/events", { share: "none" }), /`user` is needed/);
  assert.ok(settings("https://gateway.example/events", { share: "none", remember: "none" }));
});

test("two users of one browser never share", () => {
  const [ada, bob] = ["ada", "bob"].map((user) => settings("https://gateway.example/events", { user }).key);

  assert.notEqual(ada, bob);
});

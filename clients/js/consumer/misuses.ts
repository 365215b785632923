// What the packed module's types must refuse: each line below an expectation is an error, or tsc complains.
import { connect, type Notice, type State } from "eventbridge-client";
// @ts-expect-error what lies inside the package is not for others
import { Hub } from "eventbridge-client/src/hub.js";
// @ts-expect-error there is no default export
import client from "eventbridge-client";

// @ts-expect-error a URL is needed
connect();
// @ts-expect-error a number is no URL
connect(8080);
// @ts-expect-error no such option
connect("/events", { usr: "ann" });
// @ts-expect-error no such way to share
connect("/events", { user: "ann", share: "always" });
// @ts-expect-error no such place
connect("/events", { user: "ann", remember: true });
// @ts-expect-error a ticket is fetched anew for each connect
connect("/events", { user: "ann", ticket: "a ticket" });
// @ts-expect-error an answer without a ticket
connect("/events", { user: "ann", ticket: async () => ({ position: "abcd1234.1-0" }) });
// @ts-expect-error a token is fetched, too
connect("/events", { user: "ann", token: () => "a token" });
// @ts-expect-error an event has no `id`
connect("/events", { user: "ann", onEvent: ({ id }) => id });
// @ts-expect-error a position is a text
connect("/events", { user: "ann", onReset: ({ position }) => position * 2 });

const stream = connect("/events", { user: "ann" });
// @ts-expect-error it may not be known yet
const position: string = stream.position;
// @ts-expect-error where the stream is, is not for the page to set
stream.position = "abcd1234.1-0";
// @ts-expect-error no such state
const state: State = "closing";
// @ts-expect-error it is read with `for await`
for (const notice of stream) console.log(notice);
for await (const notice of stream) {
  // @ts-expect-error a loop gives no changes of the connection's state
  if (notice.kind === "state") console.log(notice);
  // @ts-expect-error only an event has a type
  console.log(notice.type);
}
// @ts-expect-error no such kind
const notice: Notice = { kind: "position", position: "abcd1234.1-0" };

console.log(Hub, client, position, state, notice);

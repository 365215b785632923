// A page's program in TypeScript, compiled against the packed module: everything that is exported, in both forms.
import {
  connect,
  EventStream,
  type Fresh,
  type Notice,
  type Options,
  type Reset,
  type Stale,
  type State,
  type StateChange,
  type StreamEvent,
} from "eventbridge-client";
import "eventbridge-client/worker.js";

const positions: string[] = [];
const states: State[] = [];

export function withCallbacks(signal: AbortSignal): EventStream {
  const options: Options = {
    user: "3f2b8c1e-0000-4000-8000-00000000000a",
    share: "auto",
    remember: "local",
    position: "abcd1234.1-0",
    ticket: async () => {
      const answer = await fetch("/ticket", { method: "POST" });
      return (await answer.json()) as { ticket: string; expires_in: number; position: string };
    },
    token: async () => "a token",
    withCredentials: true,
    dedupe: 100,
    silenceMs: 45_000,
    maxWaiting: 10,
    workerUrl: new URL("./worker.js", "https://app.example/"),
    signal,
    onEvent: ({ type, data, position }: StreamEvent) => {
      positions.push(type, data.session_id, position);
    },
    onReset: ({ reason, position }: Reset) => positions.push(reason, position),
    onStale: ({ since }: Stale) => typeof since === "number" && console.log(new Date(since)),
    onFresh: (fresh: Fresh) => console.log(fresh.kind),
    onState: ({ state, why, retryInMs, reason, status }: StateChange) => {
      states.push(state);
      const said: [string | undefined, number | undefined, "stopped" | "refused" | "left" | undefined] = [
        why,
        retryInMs ?? status,
        reason,
      ];
      console.log(...said);
    },
  };
  return connect(new URL("https://events.example/events"), options);
}

export async function inALoop(): Promise<string | null> {
  const stream = connect("/events", { user: "ann", ticket: async () => "a ticket" });
  for await (const notice of stream) {
    switch (notice.kind) {
      case "event":
        positions.push(notice.position);
        break;
      case "reset":
        positions.push(notice.reason);
        break;
      case "stale":
      case "fresh":
        break;
      default:
        // The loop gives no other kind; the compiler knows them all.
        notice satisfies never;
    }
  }
  const next: IteratorResult<Exclude<Notice, StateChange>, undefined> = await stream[Symbol.asyncIterator]().next();
  if (next.done) {
    next.value satisfies undefined;
  }
  return stream.position;
}

export function asAnEventTarget(): void {
  const stream: EventStream = new EventStream("/events", { share: "none", remember: "none" });
  stream.addEventListener("event", (happened) => {
    const { detail } = happened as CustomEvent<StreamEvent>;
    positions.push(detail.position);
  });
  const via: "worker" | "lock" | "tab" | null = stream.via;
  const stale: boolean = stream.stale;
  const repeats: number = stream.repeats;
  states.push(stream.state);
  console.log(via, stale, repeats);
  stream.close();
}

export function described(notice: Notice): string {
  return notice.kind === "state" ? notice.state : notice.kind;
}

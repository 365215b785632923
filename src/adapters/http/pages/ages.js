const TOGETHER_MS = 100;

/** How old events were on arrival, counted from Kafka's timestamp: it lies beside them, and is asked for. */
export class Ages {
  #user;
  #asking = false;
  /** @type {Map<string, {at: number, tell: (ms: number | null, since: number) => void}>} By the entry's id. */
  #waiting = new Map();

  /** @param {string} user */
  constructor(user) {
    this.#user = user;
  }

  /**
   * @param {string} position Of an event that has come this moment.
   * @param {(ms: number | null, since: number) => void} tell Gets its age and Kafka's timestamp; null: not known any more.
   */
  arrived(position, tell) {
    this.#waiting.set(position.slice(position.indexOf(".") + 1), { at: Date.now(), tell });
    this.ask();
  }

  /** The page follows another stream. */
  forget() {
    this.#waiting.clear();
  }

  /** Ask, where something waits: once for what comes within a moment. */
  async ask() {
    if (this.#asking || !this.#waiting.size) return;
    this.#asking = true;
    await new Promise((passed) => setTimeout(passed, TOGETHER_MS));
    const [from] = this.#waiting.keys();
    const answer = from && (await fetch(`demo/times?${new URLSearchParams({ user: this.#user, from })}`).catch(() => null));
    if (answer?.ok) {
      const { times } = await answer.json();
      times[from] ??= null; // it was trimmed
      for (const [id, since] of Object.entries(times)) this.#tell(id, since);
    }
    this.#asking = false;
    if (answer?.ok) this.ask();
  }

  #tell(id, since) {
    const event = this.#waiting.get(id);
    this.#waiting.delete(id);
    event?.tell(since === null ? null : Math.max(0, event.at - since), since ?? 0);
  }
}

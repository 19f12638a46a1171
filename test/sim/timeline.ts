// Virtual time: what is to happen, and when. Between two events everything that they set off has come to rest.

export type Timeline = ReturnType<typeof createTimeline>;

type Event = { readonly atMs: number; readonly run: () => void | Promise<void> };

export function createTimeline() {
  /** The last one is the next. */
  const events: Event[] = [];
  let nowMs = 0;
  return {
    /** Milliseconds since the beginning. */
    get nowMs(): number {
      return nowMs;
    },

    /** Lets something happen later. Things of one moment happen in the order in which they were told. */
    after(ms: number, run: Event["run"]): void {
      const event = { atMs: nowMs + Math.max(0, ms), run };
      let at = events.length;
      while (at > 0 && (events[at - 1]?.atMs ?? 0) <= event.atMs) at -= 1;
      events.splice(at, 0, event);
    },

    /** Lets everything happen until then, or until `isOver`. */
    async runUntil(ms: number, isOver: () => boolean = () => false): Promise<void> {
      for (let next = events.at(-1); next !== undefined && next.atMs <= ms && !isOver(); next = events.at(-1)) {
        events.pop();
        nowMs = next.atMs;
        await next.run();
        await rest();
      }
      if (!isOver()) nowMs = ms;
    },
  };
}

/** Until no promise is left that only waits for its turn, or for a file: a restore reads and writes real ones. */
async function rest(): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (process.getActiveResourcesInfo().some((resource) => /Req/.test(resource)));
}

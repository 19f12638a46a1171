import { describe, expect, it } from "vitest";
import { createProgress } from "../../../src/cli/progress.ts";

/** A terminal that keeps what was written to it, and a clock that a test sets. */
function terminal(isTTY: boolean) {
  const written: string[] = [];
  const clock = { ms: 1000, monotonic: () => clock.ms };
  return { written, clock, terminal: { isTTY, write: (text: string) => written.push(text) } };
}

describe("createProgress", () => {
  it("draws on one line of a terminal, not too often, and takes the line away in the end", () => {
    const { terminal: tty, written, clock } = terminal(true);
    const progress = createProgress(tty, clock);
    for (let doneBytes = 0; doneBytes <= 100; doneBytes += 1) {
      clock.ms += 10;
      progress.show({ doneBytes, totalBytes: 100 });
    }
    progress.end();
    expect(written.length).toBeGreaterThan(5);
    expect(written.length).toBeLessThan(15);
    for (const text of written) expect(text.startsWith("\r\u001b[K")).toBe(true);
    expect(written.at(-1)).toBe("\r\u001b[K");
  });

  it("writes nothing elsewhere, nor where there was nothing to show", () => {
    const log = terminal(false);
    const progress = createProgress(log.terminal, log.clock);
    progress.show({ doneBytes: 1, totalBytes: 2 });
    progress.end();
    expect(log.written).toEqual([]);
    const tty = terminal(true);
    createProgress(tty.terminal, tty.clock).end();
    expect(tty.written).toEqual([]);
  });
});

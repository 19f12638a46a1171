// Invariants of our own. node:assert has them too, and loads at once what it would describe a failure with, which is
// two to four milliseconds of each start.

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws where `condition` does not hold: a defect of this program. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) fail(message);
}

export function fail(message: string): never {
  throw new AssertionError(message);
}

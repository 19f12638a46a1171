// A body to be uploaded, cut into pieces of one size.
//
// Bytes are copied: whoever yields a chunk may use its memory again, and we may have to send it again.

import { assert } from "../../base/assert.ts";

export type Body = {
  /** The next bytes: `limitBytes`, or fewer where the body ends. `into` is filled where it is large enough. */
  take(limitBytes: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** True once all was taken. Looks ahead where it must. */
  ended(): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
};

const FIRST_BYTES = 64 * 1024;

/** Waiting for chunks ends when `signal` is aborted, whatever the source does. */
export function openBody(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, signal: AbortSignal): Body {
  const chunks = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {}); // nobody may be waiting
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  let rest: Uint8Array = new Uint8Array();
  let done = false;
  let closed = false;

  /** Makes `rest` non-empty, unless the source has ended. */
  async function fill(): Promise<void> {
    assert(!closed, "a closed body would look like one that has ended");
    while (rest.byteLength === 0 && !done) {
      signal.throwIfAborted();
      const next = await Promise.race([chunks.next(), aborted]);
      if (next.done === true) done = true;
      else rest = next.value;
    }
  }

  return {
    async take(limitBytes, into) {
      let buffer = into ?? new Uint8Array(Math.min(limitBytes, FIRST_BYTES));
      let sizeBytes = 0;
      while (sizeBytes < limitBytes) {
        await fill();
        if (rest.byteLength === 0) break;
        const piece = rest.subarray(0, limitBytes - sizeBytes);
        if (sizeBytes + piece.byteLength > buffer.byteLength) {
          const grown = new Uint8Array(
            Math.min(limitBytes, Math.max(buffer.byteLength * 2, sizeBytes + piece.byteLength)),
          );
          grown.set(buffer.subarray(0, sizeBytes));
          buffer = grown;
        }
        buffer.set(piece, sizeBytes);
        sizeBytes += piece.byteLength;
        rest = rest.subarray(piece.byteLength);
      }
      return buffer.subarray(0, sizeBytes);
    },
    async ended() {
      await fill();
      return rest.byteLength === 0;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      closed = true;
      if (done) return;
      // A source that hangs would not let go; it is told, and not waited for.
      const returned = Promise.resolve(chunks.return?.()).catch(() => {});
      if (!signal.aborted) await returned;
    },
  };
}

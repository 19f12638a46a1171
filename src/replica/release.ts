// Memory of large buffers, given back before the garbage collector would.

/**
 * Gives back the memory of a chunk that came from a store and is of no more use; it reads as empty from then on. The
 * garbage collector lets 64 MB of such memory gather before it looks.
 */
export function release(chunk: Uint8Array): void {
  const { buffer, byteLength } = chunk;
  // A part of a buffer no larger than Node's pool of small ones may be of that pool, which many share.
  const isAlone = byteLength === buffer.byteLength || buffer.byteLength > Buffer.poolSize;
  if (buffer instanceof ArrayBuffer && isAlone) buffer.transfer(0);
}

/** The chunks, each released when the next one is asked for. */
export async function* releasing(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    yield chunk;
    release(chunk);
  }
}

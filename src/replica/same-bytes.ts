// Whether what stands under a key is what we would have written: then an earlier try of ours had arrived.

/** Compares two streams, however they are cut into chunks. Leaves the rest of both where they differ. */
export async function sameBytes(a: AsyncIterable<Uint8Array>, b: AsyncIterable<Uint8Array>): Promise<boolean> {
  const left = a[Symbol.asyncIterator]();
  const right = b[Symbol.asyncIterator]();
  try {
    let mine: Uint8Array = new Uint8Array(0);
    let theirs: Uint8Array = new Uint8Array(0);
    for (;;) {
      mine = await fill(left, mine);
      theirs = await fill(right, theirs);
      const size = Math.min(mine.byteLength, theirs.byteLength);
      if (size === 0) return mine.byteLength === theirs.byteLength;
      if (Buffer.compare(mine.subarray(0, size), theirs.subarray(0, size)) !== 0) return false;
      mine = mine.subarray(size);
      theirs = theirs.subarray(size);
    }
  } finally {
    await left.return?.();
    await right.return?.();
  }
}

/** Bytes that are left; the next ones where there are none. Empty at the end. */
async function fill(source: AsyncIterator<Uint8Array>, rest: Uint8Array): Promise<Uint8Array> {
  let bytes = rest;
  while (bytes.byteLength === 0) {
    const { done, value } = await source.next();
    if (done === true) break;
    bytes = value;
  }
  return bytes;
}

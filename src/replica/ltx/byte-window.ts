// A window on a stream of chunks: the decoder looks at what is next as one piece, however the chunks are cut.

/**
 * The bytes of `source` that were read and not yet consumed.
 *
 * Holds no more than the largest fill() and the largest chunk together. Closing it closes the source.
 */
export class ByteWindow implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #offset = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Offset of the window's first byte, in bytes from the start of the stream. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes in the window; valid until the next fill(). */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** True if fill() would change something. For loops that await only where there is something to wait for. */
  lacks(size: number): boolean {
    return this.#end - this.#start < size && !this.#ended;
  }

  /** Reads until the window has at least `size` bytes, or all that are left. */
  async fill(size: number): Promise<void> {
    while (this.lacks(size)) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#ended = true;
      else this.#append(value, size);
    }
  }

  /** Moves the window's start. */
  consume(size: number): void {
    this.#start += size;
    this.#offset += size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    // The reader stopped early, as something failed: that failure is the one to tell, and a second one here is not.
    await this.#source.return?.().catch(() => undefined);
  }

  /** Makes room for `size` bytes in all at once, or a large window would be copied for each chunk. */
  #append(chunk: Uint8Array, size: number): void {
    if (this.#end + chunk.byteLength > this.#buffer.byteLength) {
      const kept = this.bytes;
      const needed = kept.byteLength + chunk.byteLength;
      if (needed > this.#buffer.byteLength) this.#buffer = new Uint8Array(Math.max(needed, size + chunk.byteLength));
      this.#buffer.set(kept);
      this.#start = 0;
      this.#end = kept.byteLength;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.byteLength;
  }
}

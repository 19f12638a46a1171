// A set of pages, in one bit each.

import type { PageNumber } from "../sqlite/page.ts";

/** Grows with the highest page: 1 MiB for the 8 million pages of a database of 32 GiB. */
export class PageSet {
  #bits = new Uint8Array(1024);

  has(page: PageNumber): boolean {
    return ((this.#bits[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0;
  }

  add(page: PageNumber): void {
    const at = page >>> 3;
    if (at >= this.#bits.byteLength) {
      const larger = new Uint8Array(Math.max(at + 1, this.#bits.byteLength * 2));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (page & 7));
  }
}

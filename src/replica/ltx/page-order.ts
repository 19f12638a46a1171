// Which pages an LTX file may hold, and in which order: the same rules for writing and for reading.
// Source: superfly/ltx, format version 3

import { lockPage, type PageNumber } from "../../sqlite/page.ts";
import { isSnapshot, type LtxHeader } from "./header.ts";

/** Follows the pages of one file. Each method says what is wrong, or gives undefined. */
export class PageOrder {
  readonly #commit: number;
  readonly #lockPage: PageNumber;
  readonly #complete: boolean;
  #last = 0;

  constructor(header: LtxHeader) {
    this.#commit = header.commit;
    this.#lockPage = lockPage(header.pageSize);
    this.#complete = isSnapshot(header);
  }

  add(page: PageNumber): string | undefined {
    const last = this.#last;
    if (page <= last) return `page ${page} comes after page ${last}`;
    if (page > this.#commit) return `page ${page} lies beyond the database's ${this.#commit} pages`;
    if (page === this.#lockPage) return `page ${page} is the lock page, which holds no data`;
    if (this.#complete && page !== this.#after(last)) return `page ${this.#after(last)} is missing from a full copy`;
    this.#last = page;
    return undefined;
  }

  end(): string | undefined {
    const missing = this.#after(this.#last);
    return this.#complete && missing <= this.#commit ? `page ${missing} is missing from a full copy` : undefined;
  }

  #after(page: number): number {
    return page + 1 === this.#lockPage ? page + 2 : page + 1;
  }
}

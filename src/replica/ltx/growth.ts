// A file that lets the database grow must hold all new pages.
// Source: Litestream 0.5, level-0 files: pages that SQLite never wrote are among them

import { lockPage, type PageNumber, type PageSize } from "../../sqlite/page.ts";

/** Watches the pages of one file, which come in ascending order. */
export class GrowthCheck {
  readonly #to: number;
  readonly #lock: PageNumber;
  #expected: number;

  /** Sizes of the database before and after the file, in pages. */
  constructor({ from, to, pageSize }: { readonly from: number; readonly to: number; readonly pageSize: PageSize }) {
    this.#to = to;
    this.#lock = lockPage(pageSize);
    this.#expected = this.#after(from);
  }

  saw(page: PageNumber): void {
    if (page === this.#expected) this.#expected = this.#after(page);
  }

  /** The first new page that did not come. */
  get firstMissing(): number | undefined {
    return this.#expected <= this.#to ? this.#expected : undefined;
  }

  #after(page: number): number {
    return page + 1 === this.#lock ? page + 2 : page + 1;
  }
}

// The pages of a database's free list that hold nothing. Pure but for the pages, which it reads by the function it
// is given.
// Source: https://sqlite.org/fileformat2.html#the_freelist, section 1.5

import type { PageNumber } from "./page.ts";

/** Offset of the list's first trunk page in the database's header. */
const FIRST_TRUNK = 32;

/**
 * The leaves of the free list: SQLite never reads what stands in them, and does not write a page that it frees. The
 * list is taken to be sound; where it isn't, what was found up to there is given.
 */
export function freePages(readPage: (page: PageNumber) => Uint8Array): ReadonlySet<PageNumber> {
  const leaves = new Set<PageNumber>();
  const trunks = new Set<number>();
  let trunk = viewOf(readPage(1 as PageNumber)).getUint32(FIRST_TRUNK);
  while (trunk !== 0 && !trunks.has(trunk)) {
    trunks.add(trunk);
    const view = viewOf(readPage(trunk as PageNumber));
    const count = Math.min(view.getUint32(4), Math.floor(view.byteLength / 4) - 2);
    for (let i = 0; i < count; i += 1) leaves.add(view.getUint32(8 + i * 4) as PageNumber);
    trunk = view.getUint32(0);
  }
  return leaves;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

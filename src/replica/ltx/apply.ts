// LTX files, applied to a database file. Which files, plan.ts decides; the finished database is checked and put in its
// place by restore-to.ts.
// Source: Litestream 0.5, merging of LTX files and restore

import { assert } from "../../base/assert.ts";
import { FlysqliteError } from "../../base/errors.ts";
import { lockPage, type PageSize, toPageNumber } from "../../sqlite/page.ts";
import { type DownloadOptions, downloadInOrder } from "../downloads.ts";
import type { Image } from "../image.ts";
import { PageSet } from "../page-set.ts";
import { decodeLtx } from "./decode.ts";
import type { LtxFileInfo } from "./names.ts";
import { formatTxid, type Txid } from "./txid.ts";

export type LtxApplied = {
  readonly txid: Txid;
  readonly pageSize: PageSize;
  readonly pageCount: number;
};

/**
 * Writes the state after `files` (oldest first, none left out) to `image`, which is empty or holds the state before
 * them: `before` says how large that is.
 *
 * The newest file is read first, and each page written once: as the newest file has it. A file's page that lies above
 * the database's size after any later file was dropped by that one, so it doesn't count even where the database grew
 * again. All files are read whole and their checksums verified, also where every page of them is overwritten.
 *
 * Fails with E_REPLICA_CORRUPT, E_REPLICA_GAP (Vanished) or E_RESTORE_SPACE, or as the store does. The image is of no
 * use then.
 */
export async function applyLtx({
  files,
  image,
  before,
  ...options
}: DownloadOptions & {
  readonly files: readonly LtxFileInfo[];
  readonly image: Image;
  readonly before?: Pick<LtxApplied, "pageSize" | "pageCount"> | undefined;
}): Promise<LtxApplied> {
  const written = new PageSet();
  let newest: LtxApplied | undefined;
  let noSpace: unknown;
  /** Smallest size of the database after any file that was read, in pages. */
  let smallestPageCount = Number.MAX_SAFE_INTEGER;
  for await (const { item, chunks } of downloadInOrder(files.toReversed(), options)) {
    const { key, min, max } = item;
    const { header } = await decodeLtx(image.pace(chunks), key, {
      onHeader: ({ pageSize, commit, ...found }) => {
        if (found.min !== min || found.max !== max)
          throw corrupt(key, "its header names other transactions than its name");
        newest ??= { txid: max, pageSize, pageCount: commit };
        const expected = before?.pageSize ?? newest.pageSize;
        if (pageSize !== expected) {
          throw corrupt(key, `its pages have ${pageSize} bytes, those of the other files ${expected}`);
        }
        smallestPageCount = Math.min(smallestPageCount, commit);
        if (newest.txid === max) noSpace = lackOfSpace(image, commit * pageSize);
      },
      onPage: ({ page, data }) => {
        if (noSpace !== undefined || page > smallestPageCount || written.has(page)) return;
        written.add(page);
        image.writePage(page, data);
      },
    });
    if (noSpace !== undefined) throw noSpace; // now that the file, which says the size, is known to be sound
    assert(header.max === max, "the end of a file is the end of its header");
  }
  assert(newest !== undefined, "a plan has at least one file");
  const kept = Math.min(before?.pageCount ?? 0, smallestPageCount);
  const missing = findMissing(written, newest, kept);
  if (missing !== undefined) {
    throw corrupt(formatTxid(newest.txid), `page ${missing} of its ${newest.pageCount} is in none of the files`);
  }
  await image.resize(newest.pageCount * newest.pageSize);
  return newest;
}

function lackOfSpace(image: Image, sizeBytes: number): unknown {
  try {
    image.requireSpace(sizeBytes);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The first page above `kept` that no file gave. The lock page never is in a file, and stays zero. */
function findMissing(written: PageSet, { pageSize, pageCount }: LtxApplied, kept: number): number | undefined {
  const lock = lockPage(pageSize);
  for (let page = kept + 1; page <= pageCount; page += 1) {
    if (page !== lock && !written.has(toPageNumber(page))) return page;
  }
  return undefined;
}

function corrupt(what: string, problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot restore "${what}": ${problem}`);
}

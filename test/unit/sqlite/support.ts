// What the tests of a live database share: a hold on it, other processes that use it, and a copy made of what is
// captured.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { At } from "../../../src/base/context.ts";
import { type Attached, attach, type Capture, type Snapshot } from "../../../src/sqlite/attached.ts";
import type { Driver } from "../../../src/sqlite/driver.ts";
import { type PageNumber, toPageNumber } from "../../../src/sqlite/page.ts";
import { type App, startApp } from "../../support/app.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { judge, makeDatabase } from "../../support/workload.ts";

export type Held = AsyncDisposable & {
  readonly directory: string;
  readonly path: string;
  readonly attached: Attached;
  readonly app: App;
  readonly copy: Copy;
  /** Lets go of the database before the test's end. */
  release(): void;
};

/** A database with the workload's tables, held by this process and used by another. */
export async function hold(
  driver: Driver,
  {
    pageSize = 1024,
    at = () => {},
    prepare = async () => {},
  }: {
    readonly pageSize?: number;
    readonly at?: At;
    /** What the app does before it is attached to. */
    readonly prepare?: (app: App) => Promise<void>;
  } = {},
): Promise<Held> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  makeDatabase(path, { pageSize });
  const app = await startApp(path);
  await prepare(app);
  const attached = attach(path, { driver, at });
  let held = true;
  const release = () => {
    if (held) attached.close();
    held = false;
  };
  return {
    release,
    directory: directory.path,
    path,
    attached,
    app,
    copy: createCopy(attached, join(directory.path, "copy.db")),
    async [Symbol.asyncDispose]() {
      release();
      await app.kill();
      directory[Symbol.dispose]();
    },
  };
}

export type Copy = ReturnType<typeof createCopy>;

/** A copy of the database, which a replica would be: made from a snapshot, and kept up by captures. */
export function createCopy(attached: Attached, path: string, image = new Uint8Array(0)) {
  function apply(pages: Iterable<PageNumber>, read: (page: PageNumber) => Uint8Array, pageCount: number): void {
    const next = new Uint8Array(pageCount * attached.pageSize);
    next.set(image.subarray(0, next.byteLength));
    for (const page of pages) next.set(read(page), (page - 1) * attached.pageSize);
    image = next;
  }

  const copy = {
    /** Takes over a whole database. Its position becomes the one that captures go on from. */
    takeAll(snapshot: Snapshot): void {
      const pages = Array.from({ length: snapshot.pageCount }, (_, i) => toPageNumber(i + 1));
      apply(pages, snapshot.page, snapshot.pageCount);
      attached.advance(snapshot.mark);
    },

    /** Takes over what a capture gave. */
    take(capture: Capture): Capture["kind"] {
      if (capture.kind !== "changes") return capture.kind;
      const { changes, page, mark } = capture;
      image = image.subarray(0, changes.smallestCommitSize * attached.pageSize);
      apply(changes.pages.keys(), page, changes.commitSize);
      attached.advance(mark);
      return "changes";
    },

    begin(): void {
      using snapshot = attached.snapshot();
      copy.takeAll(snapshot);
    },

    /** Captures all there is; gives why it can't. */
    catchUp(): "nothing" | "changes" | "broken" {
      return copy.take(attached.capture());
    },

    /** The last transaction that the copy holds, or what is wrong with it. */
    judge(): ReturnType<typeof judge> {
      writeFileSync(path, image);
      return judge(path);
    },

    bytes: () => image,
  };
  return copy;
}

/** Offsets of SQLite's locks in the -shm file. Source: https://sqlite.org/walformat.html, section 2.3.1 */
const READ_LOCKS = { first: 123, last: 127 };

/** The locks of this process on the database's -shm file, as the kernel lists them. */
export function locksOn(
  path: string,
): readonly { readonly kind: "READ" | "WRITE"; readonly first: number; readonly last: number }[] {
  const { ino } = statSync(`${path}-shm`); // never opened: closing it would drop the very locks
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, type, , , pid, file]) => type === "POSIX" && Number(pid) === process.pid && file?.endsWith(`:${ino}`))
    .map(([, , , kind, , , first, last]) => ({
      kind: kind === "WRITE" ? "WRITE" : "READ",
      first: Number(first),
      last: Number(last),
    }));
}

/** True while one of our readers holds a place in the log, or keeps checkpoints out of the database file. */
export function holdsReadLock(path: string): boolean {
  return locksOn(path).some(({ first, last }) => last >= READ_LOCKS.first && first <= READ_LOCKS.last);
}

/** The same driver, with something done after each call of a connection, or in place of it by throwing. */
export function watched(
  driver: Driver,
  {
    before = () => {},
    after = () => {},
  }: { readonly before?: (sql: string) => void; readonly after?: (sql: string) => void },
): Driver {
  return {
    ...driver,
    open(path, options) {
      const connection = driver.open(path, options);
      return {
        ...connection,
        exec(sql) {
          before(sql);
          connection.exec(sql);
          after(sql);
        },
        all(sql, ...parameters) {
          before(sql);
          const rows = connection.all(sql, ...parameters);
          after(sql);
          return rows;
        },
      };
    },
  };
}

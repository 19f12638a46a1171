// The replicator's hold on a live database: the one owner of its handles, and the rules by which frames of
// the write-ahead log can't vanish before they are copied. sqlite/README.md gives the argument; in short:
//
// - At every instant after attach() at least one of our connections has a read transaction open, and the next
//   one begins before the old one ends. So the log is restarted at most once between two captures, and only
//   where nothing was left to copy ("sealed").
// - Frames are read only up to the mxFrame that SQLite itself reports.
// - No file descriptor of the database is ever closed while SQLite has it open, as closing any of them drops
//   all of the process's POSIX locks on it: https://sqlite.org/howtocorrupt.html, section 2.2.

import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { assert, fail } from "../base/assert.ts";
import type { At } from "../base/context.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import { type Connection, type Driver, isBusy, SqliteError } from "./driver.ts";
import { type PageNumber, type PageSize, parsePageSize } from "./page.ts";
import { SQLITE_BUSY } from "./result-codes.ts";
import { sameSalts } from "./wal/format.ts";
import {
  isFirstHeader,
  readChanges,
  readWalHeader,
  stillAt,
  type WalChanges,
  WalMismatch,
  type WalPosition,
  walStart,
} from "./wal/read.ts";

/** The database file as it was seen; a checkpoint, a copy or a restore over it changes one of these. */
export type FileStamp = {
  readonly sizeBytes: number;
  /** Time of the last write, in milliseconds since the Unix epoch, with all digits that the system gives. */
  readonly modifiedMs: number;
};

/** Up to where the database was copied: a place in the log, or, while the log is empty, the file as it was. */
export type Position = ({ readonly kind: "log" } & WalPosition) | ({ readonly kind: "file" } & FileStamp);

/** Where copying stands after something was copied. */
export type Mark = {
  readonly position: Position;
  /** True where the log was wholly checkpointed there, so that its next restart loses nothing. */
  readonly sealed: boolean;
};

export type Capture =
  | { readonly kind: "nothing" }
  | {
      readonly kind: "changes";
      readonly changes: WalChanges;
      readonly page: PageReader;
      /** For advance(), once the changes are safe elsewhere. */
      readonly mark: Mark;
    }
  /** Frames may have been missed. Only a copy of the whole database continues the history. */
  | { readonly kind: "broken"; readonly reason: string };

/**
 * Reads a page's content, which is valid until the next one is read: a copy of a large database makes no garbage. To be
 * called before the reader that was open at the capture ends.
 */
export type PageReader = (page: PageNumber) => Uint8Array;

/** A whole database at one commit, while other processes go on writing. */
export type Snapshot = Disposable & {
  readonly pageCount: number;
  readonly page: PageReader;
  /** For advance(), once the pages are safe elsewhere. */
  readonly mark: Mark;
};

/**
 * How often, a millisecond apart, the write lock is tried for. An app at full speed has it half of the time: SQLite's
 * own busy handler, which waits longer each time, seldom comes at the right moment.
 */
const LOCK_TRIES = 100;

/** How often all of that is done for a view of the whole database, which can't do without. */
const VIEW_LOCK_TRIES = 100;

/**
 * How often, a millisecond apart, a checkpoint by seal is tried while the app's own one is under way. A busy app is in
 * one much of the time; it ends, and the app can't begin another as it gets no further than to the write lock.
 */
const SEAL_TRIES = 100;

/**
 * How often, a millisecond apart, SQLite is asked for the log's state while a writer is publishing a commit. That takes
 * nanoseconds, but the writer's process may lose its processor just then.
 */
const STATE_TRIES = 2000;

/** How often a capture is tried while a restart of the log races with it. */
const CAPTURE_TRIES = 20;

/** How often a view of the whole database is begun without the write lock, while commits get in between. */
const VIEW_TRIES = 20;

/** A read transaction's place in the log: its last frame, what the log held up to there, and whether the file had it all. */
type ViewStart = {
  readonly frames: number;
  readonly overlay: { readonly changes: WalChanges; readonly file: number } | undefined;
  readonly sealed: boolean;
};

export type Attached = ReturnType<typeof attach>;

/**
 * Attaches to the database at `path`, which must exist, sets WAL mode if need be, and begins the first read
 * transaction. From then on nothing that is committed can leave the log unnoticed: before capture() has given it it can't leave
 * it at all, or, where all of the log was in the database file already and an app runs, capture() says that it is broken.
 */
export function attach(path: string, { driver, at }: { readonly driver: Driver; readonly at: At }) {
  const database = openSync(path, "r"); // before SQLite's handles, and closed after them
  const walPath = `${path}-wal`;
  /** The log, open for reading. It carries no locks. */
  let wal: number | undefined;
  const connect = (busyTimeoutMs: number): Connection => {
    const connection = driver.open(path, { busyTimeoutMs });
    connection.exec("PRAGMA wal_autocheckpoint=0");
    return connection;
  };

  const control = connect(5000);
  const mode = control.all("PRAGMA journal_mode=WAL")[0]?.["journal_mode"];
  if (mode !== "wal") {
    throw new FlysqliteError("E_DB_INVALID", `Cannot set WAL mode on "${path}": SQLite answered "${String(mode)}"`);
  }
  const pageSize = readPageSize(control, path);
  /** Of the page that was read last. */
  const content = new Uint8Array(pageSize);

  let reader = connect(5000);
  let spare = connect(5000);
  let writer: Connection | undefined;
  beginRead(reader);
  openWal();

  let position: Position | undefined;
  // True when the log was wholly copied and wholly checkpointed at the last capture: then, and only then, its
  // next restart loses nothing. It belongs to the reader that is open.
  let sealed = false;

  /**
   * mxFrame and nBackfill. Throws SQLITE_BUSY where a writer was halted while it published a commit.
   * Source: https://sqlite.org/pragma.html#pragma_wal_checkpoint, NOOP
   */
  function walState(): { readonly frames: number; readonly checkpointed: number } {
    for (let tries = 0; tries < STATE_TRIES; tries += 1) {
      const row = control.all("PRAGMA wal_checkpoint(NOOP)")[0];
      const frames = Number(row?.["log"]);
      const checkpointed = Number(row?.["checkpointed"]);
      if (frames >= 0 && checkpointed >= 0) return { frames, checkpointed };
      assert(row?.["busy"] === 1, `wal_checkpoint(NOOP) answered log=${frames}`);
      sleepMs(1);
    }
    throw new SqliteError("the log's index does not come to rest", SQLITE_BUSY);
  }

  /**
   * The log, open for reading; undefined where there is none. SQLite keeps to one as long as we have the database open:
   * what its name leads to later is another database's, and would be taken for a restart of this one.
   */
  function openWal(): number | undefined {
    try {
      wal ??= openSync(walPath, "r");
      return wal;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** One look at the log, up to frame `most`: "again" where a restart of the log got in between. */
  function look(most: number): Capture | "again" {
    const file = openWal();
    const before = file === undefined ? undefined : readWalHeader(file);
    const { frames: all, checkpointed } = walState();
    const frames = Math.min(all, most);
    const header = file === undefined ? undefined : readWalHeader(file);
    if (before?.salts.join() !== header?.salts.join()) return "again";

    if (frames === 0) {
      // No log, or a writer is about to begin a new one over a log that was sealed.
      if (position?.kind !== "file" && !sealed) {
        return { kind: "broken", reason: "the log was emptied before it was copied" };
      }
      // The log may be emptied again as often as one likes, each time with other salts.
      if (position?.kind === "log") position = { kind: "file", ...stamp(database) };
      return { kind: "nothing" };
    }
    if (file === undefined || header === undefined) return "again";

    const from = continuation(header, file);
    if (typeof from === "string") return { kind: "broken", reason: from };
    if (frames < from.frame) return "again";
    if (frames === from.frame) {
      if (!stillAt(file, from)) return { kind: "broken", reason: "the last copied frame was overwritten" };
      sealed = checkpointed === frames && frames === all;
      return { kind: "nothing" };
    }
    const changes = readChanges(file, from, frames);
    // Where all is checkpointed, our reader has nothing of the log to hold, and what it sees is all of it.
    const isCheckpointed = checkpointed === all;
    assert(!isCheckpointed || frames === all, "what is wholly checkpointed is captured whole");
    return {
      kind: "changes",
      changes,
      page: changedPages(changes, { file, isCheckpointed }),
      mark: { position: { kind: "log", ...changes.end }, sealed: isCheckpointed },
    };
  }

  /** Where in the log with this header the copying goes on, or why it can't. */
  function continuation(header: WalPosition["header"], file: number): WalPosition | string {
    if (header.pageSize !== pageSize) return `the page size changed from ${pageSize} to ${header.pageSize} bytes`;
    const inLog = position?.kind === "log" ? position : undefined;
    if (inLog !== undefined && sameSalts(header.salts, inLog.header.salts)) return inLog;
    if (!sealed) return "the log was restarted before it was copied";
    // A restart adds exactly 1 to the first salt, or draws it anew in a log that was truncated; anything else is more
    // than one restart.
    if (inLog !== undefined && header.salts[0] !== (inLog.header.salts[0] + 1) >>> 0 && !isFirstHeader(file)) {
      return "the log was restarted more than once";
    }
    return walStart(header);
  }

  /**
   * Our reader pins one of the two places. Where the log was wholly checkpointed, the next writer may overwrite it,
   * as the reader may have begun just then; but then no checkpoint gets past the reader to the database file.
   */
  function changedPages(
    changes: WalChanges,
    { file, isCheckpointed }: { readonly file: number; readonly isCheckpointed: boolean },
  ): PageReader {
    return (page) => {
      const offset = changes.pages.get(page);
      if (offset === undefined) return content.fill(0);
      if (isCheckpointed) return readPage(database, (page - 1) * pageSize, content);
      return readPage(file, offset, content);
    };
  }

  function readWholeLog(frames: number): { readonly changes: WalChanges; readonly file: number } {
    const file = openWal();
    const header = file === undefined ? undefined : readWalHeader(file);
    if (file === undefined || header === undefined) throw new WalMismatch("the log has no sound header");
    return { changes: readChanges(file, walStart(header), frames), file };
  }

  function capture({ upTo }: { readonly upTo?: Mark } = {}): Capture {
    const most = upTo?.position.kind === "log" ? upTo.position.frame : Number.MAX_SAFE_INTEGER;
    at("capture");
    let mismatch: unknown;
    for (let tries = 0; tries < CAPTURE_TRIES; tries += 1) {
      try {
        const found = look(most);
        if (found !== "again") return found;
      } catch (error) {
        if (!(error instanceof WalMismatch)) throw error;
        mismatch = error;
      }
    }
    const why = mismatch instanceof Error ? mismatch.message : "the log does not come to rest";
    return { kind: "broken", reason: why };
  }

  /** Begins a view of the database as it is now, and finds what of it stands in the log. */
  function beginView(view: Connection): ViewStart {
    beginRead(view);
    const { frames, checkpointed } = walState();
    const overlay = frames === 0 ? undefined : readWholeLog(frames);
    // A fully checkpointed log may be overwritten by the next writer, but then the database file is whole
    // and stays so: our view keeps every checkpoint from it.
    at("snapshot begun");
    return { frames, overlay, sealed: frames === checkpointed };
  }

  /**
   * Begins a view without the write lock; undefined where commits got in between each time. An app's transaction
   * that reads first and then writes would fail at once under our lock, whatever its busy timeout:
   * https://sqlite.org/c3ref/busy_handler.html
   */
  function tryView(view: Connection): ViewStart | undefined {
    for (let tries = 0; tries < VIEW_TRIES; tries += 1) {
      const salts = logSalts();
      const { frames } = walState();
      try {
        const begun = beginView(view);
        // A commit adds frames, or restarts the log and so changes its salts.
        if (begun.frames === frames && logSalts() === salts) return begun;
      } catch (error) {
        if (!(error instanceof WalMismatch)) throw error;
      }
      view.exec("ROLLBACK");
    }
    return undefined;
  }

  function lockedView(view: Connection): ViewStart {
    for (let tries = 0; tries < VIEW_LOCK_TRIES; tries += 1) {
      using lock = takeWriteLock();
      if (lock !== undefined) return beginView(view);
    }
    throw new SqliteError("the app's writers leave no chance for the write lock", SQLITE_BUSY);
  }

  /** The write lock, until it is disposed of; undefined where it can't be had. */
  function takeWriteLock(): Disposable | undefined {
    writer ??= connect(0);
    const held = writer;
    for (let tries = 0; tries < LOCK_TRIES; tries += 1) {
      try {
        held.exec("BEGIN IMMEDIATE");
        return { [Symbol.dispose]: () => held.exec("ROLLBACK") };
      } catch (error) {
        if (!isBusy(error)) throw error;
        sleepMs(1);
      }
    }
    return undefined;
  }

  function isStillAt(position: WalPosition): boolean {
    const file = openWal();
    return file !== undefined && stillAt(file, position);
  }

  function logSalts(): string | undefined {
    const file = openWal();
    return file === undefined ? undefined : readWalHeader(file)?.salts.join();
  }

  /** Copies committed pages as far as the readers allow. False, and nothing copied, where someone else is about it. */
  function checkpoint(): boolean {
    try {
      return control.all("PRAGMA wal_checkpoint(PASSIVE)")[0]?.["busy"] === 0;
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
  }

  function endOlder(): void {
    reader.exec("ROLLBACK");
    [reader, spare] = [spare, reader];
    at("reader ended");
  }

  /** Without it the log can begin anew unseen. Only a new process, which attaches anew, is sure of what holds then. */
  function holdAgain(): void {
    try {
      beginRead(reader);
    } catch (error) {
      fail(`the hold on the log of "${path}" was lost: ${describe(error)}`);
    }
  }

  return {
    path,
    pageSize,

    get position(): Position | undefined {
      return position;
    },

    /**
     * True where our hold began with a log that was wholly checkpointed. While it lasts, no checkpoint of anyone gets a
     * page into the database file: an app whose log is long tries in vain, and dearly, at each commit.
     */
    get isSealed(): boolean {
      return sealed;
    },

    /** Frames in the log now, and how many of them are in the database file. */
    walState,

    /** Frames of the log, as it is now, that were not captured yet: of a log that was restarted since, all of them. */
    uncapturedFrames(): number {
      const { frames } = walState();
      if (position?.kind !== "log" || logSalts() !== position.header.salts.join()) return frames;
      return Math.max(0, frames - position.frame);
    },

    /**
     * Takes up copying where an earlier process left it. False, and nothing changed, where the log no longer
     * continues from there.
     */
    resume(from: Position): boolean {
      const { frames, checkpointed } = walState();
      const continues =
        from.kind === "file"
          ? frames === 0 && sameStamp(from, stamp(database))
          : from.header.pageSize === pageSize && frames >= from.frame && isStillAt(from);
      if (!continues) return false;
      position = from;
      sealed = frames === checkpointed && frames === (from.kind === "log" ? from.frame : 0);
      return true;
    },

    /**
     * What was committed since the last capture, or since then up to the commit at `upTo`, which must be one of this
     * log's.
     */
    capture,

    /** Moves on after the changes of a capture, or a snapshot, are safe elsewhere. */
    advance(to: Mark): void {
      ({ position, sealed } = to);
    },

    /** True where copying stands at this very commit. */
    isAt({ position: other }: Mark): boolean {
      if (other.kind === "file") return position?.kind === "file" || sealed;
      return (
        position?.kind === "log" &&
        sameSalts(position.header.salts, other.header.salts) &&
        position.frame === other.frame
      );
    },

    /** Makes what was captured durable here, so that no copy is ever ahead of the volume. */
    syncWal(): void {
      const file = openWal();
      if (file !== undefined) fdatasyncSync(file);
    },

    /**
     * Begins a second reader and, after `copy` has copied what there is, ends the first: our hold on the log
     * moves forward without a gap.
     */
    async handOver(copy: () => Promise<void>): Promise<void> {
      beginRead(spare);
      try {
        at("reader begun");
        await copy();
      } catch (error) {
        spare.exec("ROLLBACK");
        throw error;
      }
      endOlder();
    },

    /** Copies committed pages into the database file as far as the readers allow; waits for nobody. */
    checkpoint(): void {
      at("checkpoint");
      checkpoint(); // or someone else does: just as well
    },

    /**
     * Checkpoints the whole log while writers are locked out for a moment, so that the next writer restarts
     * it. `copy` must copy what there is into memory, without waiting, and tell whether it could. Gives whether the
     * log is sealed now; undefined, and nothing was checkpointed, without the lock or without the copy. Throws an
     * AssertionError where our hold on the log could not be taken up again.
     */
    sealedCheckpoint(copy: () => boolean): boolean | undefined {
      const lock = takeWriteLock();
      if (lock === undefined) return undefined;
      try {
        at("sealing");
        if (!copy()) return undefined;
        reader.exec("ROLLBACK"); // the write lock stands in for it: nobody else can restart the log
        at("checkpoint");
        try {
          for (let tries = 1; !checkpoint() && tries < SEAL_TRIES; tries += 1) sleepMs(1);
        } finally {
          holdAgain();
        }
        const { frames, checkpointed } = walState();
        return frames === checkpointed;
      } finally {
        lock[Symbol.dispose]();
        at("write lock released");
      }
    },

    /**
     * A consistent view of the whole database. Pages that the log holds come from the log, which can't restart
     * while the view is open; all others come from the database file, where nothing above the view's commit
     * is written meanwhile.
     */
    snapshot(): Snapshot {
      const view = connect(5000);
      let begun: ViewStart;
      try {
        begun = tryView(view) ?? lockedView(view);
      } catch (error) {
        view.close(); // or each further try would leave a reader behind
        throw error;
      }
      const { overlay, sealed: sealedThen } = begun;
      const pageCount = Number(view.all("PRAGMA page_count")[0]?.["page_count"]);
      const inWal = sealedThen ? undefined : overlay?.changes.pages;
      const file = overlay?.file;
      return {
        pageCount,
        mark: {
          position:
            overlay === undefined ? { kind: "file", ...stamp(database) } : { kind: "log", ...overlay.changes.end },
          sealed: sealedThen,
        },
        page: (page) => {
          const offset = inWal?.get(page);
          if (offset === undefined || file === undefined) return readPage(database, (page - 1) * pageSize, content);
          return readPage(file, offset, content);
        },
        [Symbol.dispose]: () => view.close(),
      };
    },

    /** False when the path no longer leads to the file that we hold: it was replaced under us. */
    isStillThere(): boolean {
      const held = fstatSync(database);
      try {
        const found = statSync(path);
        return found.ino === held.ino && found.dev === held.dev;
      } catch (error) {
        if (systemCode(error) === "ENOENT") return false;
        throw error;
      }
    },

    /**
     * Closes everything. The last connection to close copies the log into the database and deletes it, and
     * with it the proof of where the copying stopped: a process that ends anyway should just end. Where another file is
     * at the path, SQLite sees that and leaves the log alone, which may be that one's.
     */
    close(): void {
      for (const connection of [reader, spare, writer, control]) connection?.close();
      closeSync(database);
      if (wal !== undefined) closeSync(wal);
    },
  };
}

/** Waits as SQLite does, with everything in this process. */
function sleepMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Begins a read transaction, and takes its snapshot. */
export function beginRead(connection: Connection): void {
  connection.exec("BEGIN");
  try {
    connection.all("SELECT 1 FROM sqlite_schema LIMIT 1"); // BEGIN alone takes no snapshot
  } catch (error) {
    connection.exec("ROLLBACK"); // so that it can be begun another time
    throw error;
  }
}

export function stamp(file: number): FileStamp {
  const { size, mtimeMs } = fstatSync(file);
  return { sizeBytes: size, modifiedMs: mtimeMs };
}

export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs;
}

function readPage(file: number, offset: number, content: Uint8Array): Uint8Array {
  const pageSize = content.byteLength;
  const length = readSync(file, content, 0, pageSize, offset);
  // SQLite never wrote a free page at the end of a file that grew: its content is zeros. A torn read is not.
  assert(length === pageSize || length === 0, `read ${length} of ${pageSize} bytes at ${offset}`);
  return length === 0 ? content.fill(0) : content;
}

function readPageSize(connection: Connection, path: string): PageSize {
  const pageSize = parsePageSize(Number(connection.all("PRAGMA page_size")[0]?.["page_size"]));
  if (pageSize === undefined) throw new FlysqliteError("E_DB_INVALID", `Cannot tell the page size of "${path}"`);
  return pageSize;
}

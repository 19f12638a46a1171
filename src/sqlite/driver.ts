// The one seam to SQLite. Two libraries stand behind it, and never both on one database in one process:
// POSIX locks belong to the process, so that closing one library's handle drops the other's locks.

export type SqlValue = string | number | bigint | null | Uint8Array;

export type Row = { readonly [column: string]: unknown };

/** An open connection. All calls are synchronous; all throw SqliteError. */
export type Connection = Disposable & {
  /** Runs one or several statements. */
  exec(sql: string): void;
  /** Runs one statement and gives all its rows. */
  all(sql: string, ...parameters: readonly SqlValue[]): readonly Row[];
  close(): void;
};

export type OpenOptions = {
  /** Never writes, and when it is the last to close, leaves the write-ahead log where it is. Default: false. */
  readonly readOnly?: boolean;
  /**
   * Nobody writes to the file and it has no log: it is read without making the side files that WAL mode calls
   * for. better-sqlite3 can't, and makes them. Default: false.
   */
  readonly immutable?: boolean;
  /** How long a busy database is waited for, in milliseconds. */
  readonly busyTimeoutMs: number;
};

export type Driver = {
  readonly name: "better-sqlite3" | "node:sqlite";
  /** Such as "3.54.1". */
  readonly sqliteVersion: string;
  /** Opens an existing database; a missing file is an error. */
  open(path: string, options: OpenOptions): Connection;
};

/** What SQLite answered, from either library. Source: https://sqlite.org/rescode.html */
export class SqliteError extends Error {
  /** Extended result code, such as 2067 for SQLITE_CONSTRAINT_UNIQUE. */
  readonly extendedCode: number;

  constructor(message: string, extendedCode: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "SqliteError";
    this.extendedCode = extendedCode;
  }
}

/** True for SQLITE_BUSY and its extended codes: someone else holds a lock, and a later try may succeed. */
export function isBusy(error: unknown): boolean {
  return error instanceof SqliteError && (error.extendedCode & 0xff) === 5;
}

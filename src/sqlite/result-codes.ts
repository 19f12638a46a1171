// SQLite's result codes by name, as better-sqlite3 tells only the names.
// Source: https://sqlite.org/rescode.html

/** Primary codes that are numbered without a gap, from 0. */
const PRIMARY = [
  ...["OK", "ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY", "INTERRUPT", "IOERR"],
  ...["CORRUPT", "NOTFOUND", "FULL", "CANTOPEN", "PROTOCOL", "EMPTY", "SCHEMA", "TOOBIG", "CONSTRAINT", "MISMATCH"],
  ...["MISUSE", "NOLFS", "AUTH", "FORMAT", "RANGE", "NOTADB", "NOTICE", "WARNING"],
] as const;

type Primary = (typeof PRIMARY)[number];

/** What extends a primary code: the n-th of a list is the primary code plus n times 256, counted from 1. */
const EXTENSIONS: { readonly [name in Primary]?: readonly string[] } = {
  OK: ["LOAD_PERMANENTLY", "SYMLINK"],
  ERROR: ["MISSING_COLLSEQ", "RETRY", "SNAPSHOT", "RESERVESIZE", "KEY", "UNABLE"],
  ABORT: ["", "ROLLBACK"],
  BUSY: ["RECOVERY", "SNAPSHOT", "TIMEOUT"],
  LOCKED: ["SHAREDCACHE", "VTAB"],
  READONLY: ["RECOVERY", "CANTLOCK", "ROLLBACK", "DBMOVED", "CANTINIT", "DIRECTORY"],
  IOERR: [
    ...["READ", "SHORT_READ", "WRITE", "FSYNC", "DIR_FSYNC", "TRUNCATE", "FSTAT", "UNLOCK", "RDLOCK", "DELETE"],
    ...["BLOCKED", "NOMEM", "ACCESS", "CHECKRESERVEDLOCK", "LOCK", "CLOSE", "DIR_CLOSE", "SHMOPEN", "SHMSIZE"],
    ...["SHMLOCK", "SHMMAP", "SEEK", "DELETE_NOENT", "MMAP", "GETTEMPPATH", "CONVPATH", "VNODE", "AUTH"],
    ...["BEGIN_ATOMIC", "COMMIT_ATOMIC", "ROLLBACK_ATOMIC", "DATA", "CORRUPTFS", "IN_PAGE", "BADKEY", "CODEC"],
  ],
  CORRUPT: ["VTAB", "SEQUENCE", "INDEX"],
  CANTOPEN: ["NOTEMPDIR", "ISDIR", "FULLPATH", "CONVPATH", "DIRTYWAL", "SYMLINK"],
  CONSTRAINT: [
    ...["CHECK", "COMMITHOOK", "FOREIGNKEY", "FUNCTION", "NOTNULL", "PRIMARYKEY", "TRIGGER", "UNIQUE", "VTAB"],
    ...["ROWID", "PINNED", "DATATYPE"],
  ],
  AUTH: ["USER"],
  NOTICE: ["RECOVER_WAL", "RECOVER_ROLLBACK", "RBU"],
  WARNING: ["AUTOINDEX"],
};

/** Someone else holds a lock. */
export const SQLITE_BUSY = 5;

/** The file can't be opened, or isn't there. */
export const SQLITE_CANTOPEN = 14;

/** The library was called wrongly, such as on a closed connection. */
export const SQLITE_MISUSE = 21;

/** What better-sqlite3 calls a code that it has no name for. */
const UNNAMED = /^UNKNOWN_SQLITE_ERROR_(\d+)$/;

/** The number of a code such as "SQLITE_CONSTRAINT_UNIQUE" (2067); undefined for a name that SQLite does not have. */
export function resultCode(name: string): number | undefined {
  const unnamed = UNNAMED.exec(name)?.[1];
  return unnamed === undefined ? codes().get(name) : Number(unnamed);
}

let table: ReadonlyMap<string, number> | undefined;

/** Made at the first error, which most processes never see. */
function codes(): ReadonlyMap<string, number> {
  table ??= new Map(
    PRIMARY.flatMap((name, code): [string, number][] => [
      [`SQLITE_${name}`, code],
      ...(EXTENSIONS[name] ?? []).map((suffix, index): [string, number] => [
        `SQLITE_${name}_${suffix}`,
        code + 256 * (index + 1),
      ]),
    ]),
  );
  return table;
}

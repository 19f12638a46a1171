// Which SQLite is in a library's file, without loading it. Pure.

/** The package by which Node apps use SQLite most, and so does flysqlite. */
export const BETTER_SQLITE3 = "better-sqlite3";

/**
 * The version of the SQLite in a library: it is there as a C string, `sqlite3_version`. The names of the C++ library's
 * own versions look alike, but have letters before them. Undefined where none, or more than one, is found.
 */
export function versionIn(library: Uint8Array): string | undefined {
  const text = Buffer.from(library.buffer, library.byteOffset, library.byteLength).toString("latin1");
  const found = new Set([...text.matchAll(/(?<![\w.])(3\.\d{1,2}\.\d{1,2})\0/g)].map(([, version = ""]) => version));
  return found.size === 1 ? [...found][0] : undefined;
}

// Which releases of SQLite have the WAL-reset bug: two processes that checkpoint at about the same time can lose commits.
// Pure. Source: https://sqlite.org/wal.html#walresetbug

/** First release with WAL mode, and so with the bug; the first without it; and the back-ports to older lines. */
const FIRST = [3, 7, 0] as const;
const FIXED = [3, 51, 3] as const;
const BACK_PORTS = [
  [3, 44, 6],
  [3, 50, 7],
] as const;

/** `version`: such as "3.50.2". Undefined where that is no version. */
export function hasWalResetBug(version: string): boolean | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (match === null) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  const found = [major, minor, patch] as const;
  if (BACK_PORTS.some(([, line, fixed]) => major === 3 && minor === line && patch >= fixed)) return false;
  return compare(found, FIRST) >= 0 && compare(found, FIXED) < 0;
}

type Version = readonly [number, number, number];

function compare(left: Version, right: Version): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

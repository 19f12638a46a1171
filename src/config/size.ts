// Sizes, as people write them. Pure.

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["K", 1024],
  ["KB", 1000],
  ["KIB", 1024],
  ["M", 1024 ** 2],
  ["MB", 1e6],
  ["MIB", 1024 ** 2],
  ["G", 1024 ** 3],
  ["GB", 1e9],
  ["GIB", 1024 ** 3],
]);

/** "512MB", "1G", "0.5 GiB" in bytes; K, M and G alone are powers of 1024, as `fallocate` has them. Throws otherwise. */
export function parseSize(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const bytes = Number(number) * (UNITS.get(unit.toUpperCase()) ?? Number.NaN);
  if (number === "" || !Number.isSafeInteger(Math.round(bytes)) || bytes <= 0)
    throw new Error(`"${text}" is no size such as 512MB`);
  return Math.round(bytes);
}

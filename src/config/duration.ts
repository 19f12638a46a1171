// Durations as litestream.yml writes them: Go's.
// Source: https://pkg.go.dev/time#ParseDuration

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads "1s", "500ms", "1h30m" as milliseconds. Throws where a unit is missing or unknown, or for less than 1 ms. */
export function parseDuration(text: string): number {
  let ms = 0;
  let rest = text.trim();
  while (rest !== "") {
    const [part, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)/.exec(rest) ?? [];
    if (part === undefined || number === undefined || unit === undefined) {
      throw new Error(`"${text}" is no duration such as 500ms, 10s or 1h30m`);
    }
    ms += Number(number) * (UNITS_MS[unit] ?? 0);
    rest = rest.slice(part.length);
  }
  if (!(ms >= 1 && ms <= 0x7fff_ffff)) throw new Error(`"${text}" is not between 1ms and 596h`);
  return ms;
}

// Durations as litestream.yml writes them: Go's.
// Source: https://pkg.go.dev/time#ParseDuration

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** How long a duration may be: as a timer takes it, or up to 100 years. Zero is none, where it is not named. */
export type DurationRange = "timer" | "long" | "long or zero";

const MOST_HOURS = { timer: 596, long: 876_000, "long or zero": 876_000 } as const;

/** Reads "1s", "500ms", "1h30m" as milliseconds. Throws where a unit is missing or unknown, or for less than 1 ms. */
export function parseDuration(text: string, range: DurationRange = "timer"): number {
  if (range === "long or zero" && /^\s*0(?:ms|s|m|h)?\s*$/.test(text)) return 0;
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
  const hours = MOST_HOURS[range];
  if (!(ms >= 1 && ms <= hours * 3_600_000)) throw new Error(`"${text}" is not between 1ms and ${hours}h`);
  return ms;
}

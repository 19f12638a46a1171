// The time in an object's metadata: RFC 3339 in UTC, as Go writes it, with a fraction only as long as it must be.

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** `ms` counts from the Unix epoch; what is finer than a millisecond is cut. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, "Z");
}

/** Milliseconds since the Unix epoch, or undefined for what is no such time. What is finer is cut. */
export function parseTime(text: string): number | undefined {
  const [, seconds, fraction = "", zone] = RFC3339.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const ms = Date.parse(`${seconds}.${fraction.padEnd(3, "0").slice(0, 3)}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}

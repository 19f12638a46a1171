// Measures as people read them.

/** "512 B", "33 kB", "12.4 MB", "1.2 GB": powers of 1000, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  if (bytes < 999_950_000) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** "37 ms", "1.8 s", "2 min 5 s". */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** "12.4 MB of 222.0 MB (5 %), 61.0 MB/s, 3.4 s left". */
export function formatProgress({
  doneBytes,
  totalBytes,
  elapsedMs,
}: {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly elapsedMs: number;
}): string {
  const share = totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100);
  const perMs = elapsedMs > 0 ? doneBytes / elapsedMs : 0;
  const left = perMs > 0 ? `, ${formatDuration((totalBytes - doneBytes) / perMs)} left` : "";
  return `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${share} %), ${formatBytes(Math.round(perMs * 1000))}/s${left}`;
}

/** "1 migration", "4 migrations": of what only gets an "s". */
export function formatCount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

// A keeper's status as text. The first line answers whether the data is safe; the rest is for who wants to know why.
// Pure.

import type { OfflineStatus, Status } from "../base/control.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { singleLine } from "./render-event.ts";

/** `nowMs`: milliseconds since the Unix epoch. */
export function renderStatus(status: Status, nowMs: number): string {
  const { answer, summary, captured, replicated, waiting, log, lease, lastError } = status;
  const ago = (time: string) => `${time} (${formatDuration(Math.max(0, nowMs - Date.parse(time)))} ago)`;
  const lines: [string, string][] = [["database", status.database]];
  if (status.keeper === "stopping") lines.push(["keeper", "makes the last sync, and ends"]);
  lines.push(["position", `transaction ${captured} on the volume, ${replicated} in the replica`]);
  if (waiting.transactions > 0)
    lines.push(["waiting", `${waiting.transactions} transactions, ${formatBytes(waiting.bytes)}`]);
  if (status.lagMs > 0)
    lines.push(["lag", `${formatDuration(status.lagMs)}, of at most ${formatDuration(status.lagLimitMs)}`]);
  if (status.replicatedUntil !== undefined) lines.push(["complete to", ago(status.replicatedUntil)]);
  if (status.lastUpload !== undefined) lines.push(["last upload", ago(status.lastUpload)]);
  if (lastError !== undefined) {
    const times = lastError.tries === 1 ? "once" : `${lastError.tries} times`;
    lines.push(["last error", `${lastError.message}; ${times} since ${ago(lastError.since)}`]);
  }
  if (log !== undefined) {
    const frames = `${log.frames} frames, ${log.checkpointedFrames} of them in the database`;
    lines.push(["log", `${formatBytes(log.bytes)}, ${frames}`]);
  }
  if (lease !== undefined) lines.push(["lease", `epoch ${lease.epoch}, ${lease.state}`]);
  for (const { task, time } of status.upcoming ?? []) lines.push(["next", `${task} at ${time}`]);
  return render(`${answer}: ${summary}`, lines);
}

export function renderOfflineStatus(status: OfflineStatus): string {
  const { answer, summary, captured, databaseBytes, replica, replicaError } = status;
  const size = databaseBytes === undefined ? "not there" : formatBytes(databaseBytes);
  const lines: [string, string][] = [["database", `${status.database}, ${size}`]];
  if (captured !== undefined) lines.push(["volume", `knows of transaction ${captured}`]);
  if (replica !== undefined) lines.push(["replica", `${replica}, ${position(status)}`]);
  if (replicaError !== undefined) lines.push(["last error", replicaError]);
  return render(`${answer}: ${summary}`, lines);
}

function position({ replicated, replicaError }: OfflineStatus): string {
  if (replicaError !== undefined) return "no answer";
  return replicated === undefined ? "no transactions" : `up to transaction ${replicated}`;
}

function render(first: string, lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([name]) => name.length));
  const rest = lines.map(([name, text]) => `  ${name.padEnd(width)}  ${singleLine(text)}`);
  return `${[singleLine(first), ...rest].join("\n")}\n`;
}

// Which format a restore reads where Litestream 0.3 and 0.5 left their replicas at one path. Pure.
// Source: Litestream 0.5.11 and later, choice of the format to restore

import { type LtxFileInfo, SNAPSHOT_LEVEL } from "./ltx/names.ts";
import type { RestoreTarget } from "./ltx/plan.ts";
import { betaLayoutFailure, type V03Files } from "./v03/names.ts";

export type FormatChoice = {
  readonly format: "ltx" | "v03";
  /** For a log: why this one. */
  readonly why: string;
};

/**
 * Chooses the format that leads closest to `target`: to a time, the one with the later snapshot before it; to the
 * latest state, the one with the newer object. When both are equal it is LTX. Only LTX has transaction ids.
 *
 * Fails with E_REPLICA_CORRUPT where there is nothing but the layout of 0.4's betas.
 */
export function chooseFormat({
  v03,
  ltx,
  target,
}: {
  readonly v03: V03Files;
  readonly ltx: readonly LtxFileInfo[];
  readonly target: RestoreTarget;
}): FormatChoice {
  const hasV03 = v03.snapshots.length > 0 || v03.segments.length > 0;
  if (!hasV03 && ltx.length === 0 && v03.betaKey !== undefined) throw betaLayoutFailure(v03.betaKey);
  if (!hasV03) return { format: "ltx", why: "there is no replica of Litestream 0.3" };
  if (target.kind === "txid") return { format: "ltx", why: "only LTX files have transaction ids" };
  if (ltx.length === 0) return { format: "v03", why: "there are no LTX files" };
  if (target.kind === "timestamp") {
    const { ms } = target;
    const snapshotV03 = latest(v03.snapshots.map(({ createdMs }) => createdMs).filter((time) => time <= ms));
    const snapshotLtx = latest(
      ltx.filter(({ level, modifiedMs }) => level === SNAPSHOT_LEVEL && modifiedMs < ms).map((file) => file.modifiedMs),
    );
    return snapshotV03 > snapshotLtx
      ? { format: "v03", why: "the last snapshot before the time is of Litestream 0.3" }
      : { format: "ltx", why: "no snapshot of Litestream 0.3 lies closer before the time" };
  }
  const newestV03 = latest([...v03.snapshots, ...v03.segments].map(({ createdMs }) => createdMs));
  const newestLtx = latest(ltx.map(({ modifiedMs }) => modifiedMs));
  return newestV03 > newestLtx
    ? { format: "v03", why: "the newest object is of Litestream 0.3" }
    : { format: "ltx", why: "no object of Litestream 0.3 is newer" };
}

/** Not Math.max(...times), which fails for some hundred thousand of them. */
function latest(times: readonly number[]): number {
  return times.reduce((newest, time) => Math.max(newest, time), Number.NEGATIVE_INFINITY);
}

// `flysqlite snapshots`: the points that the replica can restore to. Pure but for the listing.

import { formatBytes } from "../base/format.ts";
import type { ReplicaContent } from "../replica/inspect.ts";
import { SNAPSHOT_LEVEL } from "../replica/ltx/names.ts";
import { formatTxid } from "../replica/ltx/txid.ts";
import { formatPlace } from "../replica/v03/names.ts";
import { listGenerations } from "../replica/v03/plan.ts";
import type { StepContext } from "../steps/context.ts";
import { findReplica } from "./locate.ts";

export type RestorePoint = {
  /** When that state was current, as ISO 8601. */
  readonly time: string;
  readonly format: "ltx" | "v03";
  /** For `restore --txid`, or generation and index for `restore --generation --index`. */
  readonly position: string;
  /** Of an LTX file: 9 is that of full copies, 0 that of single uploads, those between hold merges. */
  readonly level?: number;
  /** Of an object of Litestream 0.3. */
  readonly generation?: string;
  readonly kind: "snapshot" | "changes";
  /** Of the object, compressed, in bytes. */
  readonly sizeBytes: number;
  readonly key: string;
};

export async function snapshotsCommand(
  { json, all }: { readonly json: boolean; readonly all: boolean },
  context: StepContext,
  print: (text: string) => void,
): Promise<void> {
  const { store, content } = await findReplica(context);
  const points = listRestorePoints(content, { all });
  if (json) print(`${JSON.stringify({ replica: store.address, points }, undefined, 2)}\n`);
  else print(points.length === 0 ? `${store.address} is empty\n` : renderPoints(points));
}

/** Oldest first. Without `all` only the snapshots, and the newest state of each history. */
export function listRestorePoints(
  { files, v03 }: ReplicaContent,
  { all }: { readonly all: boolean },
): readonly RestorePoint[] {
  let last = files[0];
  for (const file of files) if (last === undefined || file.max > last.max) last = file;
  const ltx = files
    .filter((file) => all || file.level === SNAPSHOT_LEVEL || file === last)
    .map(({ level, max, key, sizeBytes, modifiedMs }) => {
      const kind = level === SNAPSHOT_LEVEL ? ("snapshot" as const) : ("changes" as const);
      return { ms: modifiedMs, format: "ltx" as const, position: formatTxid(max), level, kind, sizeBytes, key };
    });
  const old = listGenerations(v03).flatMap(({ generation, snapshots, segments }) => {
    const shown = all ? segments : segments.slice(-1);
    return [...snapshots, ...shown].map((object) => ({
      ms: object.createdMs,
      format: "v03" as const,
      position: `${generation}/${formatPlace(object)}`,
      generation: `${generation}`,
      kind: "offset" in object ? ("changes" as const) : ("snapshot" as const),
      sizeBytes: object.sizeBytes,
      key: object.key,
    }));
  });
  return [...ltx, ...old]
    .sort((a, b) => a.ms - b.ms || (a.position < b.position ? -1 : 1))
    .map(({ ms, ...point }) => ({ time: new Date(ms).toISOString(), ...point }));
}

function renderPoints(points: readonly RestorePoint[]): string {
  const rows = [
    ["TIME", "POSITION", "LEVEL", "KIND", "SIZE", "OBJECT"],
    ...points.map(({ time, position, level, kind, sizeBytes, key }) => [
      ...[time, position, level === undefined ? "0.3" : `${level}`],
      ...[kind, formatBytes(sizeBytes), key],
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return `${rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")}\n`;
}

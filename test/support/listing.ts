// LTX files as a listing shows them, written short: "1/2-5@30" is level 1, transactions 2 to 5, time 30.

import { formatLtxName, type LtxFileInfo } from "../../src/replica/ltx/names.ts";
import { toTxid } from "../../src/replica/ltx/txid.ts";

export function info(text: string): LtxFileInfo {
  const [, level, first, last, time] = /^(\d)\/(\d+)-(\d+)(?:@(\d+))?$/.exec(text) ?? [];
  if (level === undefined || first === undefined || last === undefined) throw new Error(`no file: ${text}`);
  return file(Number(level), Number(first), Number(last), Number(time ?? 0));
}

export function listing(...texts: string[]): readonly LtxFileInfo[] {
  return texts.map(info);
}

export function file(level: number, first: number, last: number, modifiedMs = 0, sizeBytes = 1000): LtxFileInfo {
  const range = { min: toTxid(BigInt(first)), max: toTxid(BigInt(last)) };
  return { ...range, level, key: `ltx/${level}/${formatLtxName(range)}`, sizeBytes, modifiedMs };
}

/** "1/2-5". */
export function short({ level, min, max }: Pick<LtxFileInfo, "level" | "min" | "max">): string {
  return `${level}/${min}-${max}`;
}

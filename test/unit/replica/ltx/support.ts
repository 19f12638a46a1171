// What the LTX tests share: the replicas that Litestream made, files in memory, and a restore without a disk.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeLtx, type LtxSummary } from "../../../../src/replica/ltx/decode.ts";
import { encodeLtx, type LtxFlavour, type LtxPage } from "../../../../src/replica/ltx/encode.ts";
import { type LtxHeader, NO_WAL } from "../../../../src/replica/ltx/header.ts";
import { type LtxFileInfo, parseLtxName } from "../../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import { type PageSize, parsePageSize, toPageNumber } from "../../../../src/sqlite/page.ts";

export const FIXTURES = fileURLToPath(new URL("../../../fixtures/litestream/", import.meta.url));

/** The Litestream releases that made a replica in LTX format, and the flavour of their pages. */
export const REPLICAS = [
  { version: "v0.5.0", flavour: "frame" },
  { version: "v0.5.15", flavour: "frame" },
  { version: "v0.5.16", flavour: "block" },
] as const satisfies readonly { readonly version: string; readonly flavour: LtxFlavour }[];

/** 179 bytes: one page of 1024 bytes in a block. */
export const SMALL_BLOCK_FILE = "generated/v0.5.16/replica/ltx/0/0000000000000004-0000000000000004.ltx";
/** 194 bytes: the same in a frame. */
export const SMALL_FRAME_FILE = "generated/v0.5.15/replica/ltx/0/0000000000000004-0000000000000004.ltx";

export type RestoreResult =
  | {
      readonly plan: readonly string[];
      readonly sha256: string;
      readonly bytes: number;
      readonly plan_error?: undefined;
    }
  | { readonly plan_error: string };

/** What Litestream's own restore gave, for the latest state and for each transaction. */
export type Expected = { readonly latest: RestoreResult; readonly by_txid: Readonly<Record<string, RestoreResult>> };

export function readFixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, path)));
}

export function readExpected(version: string): Expected {
  return JSON.parse(readFileSync(join(FIXTURES, "generated", version, "expected.json"), "utf8"));
}

/** All LTX files of a release's replica, as a listing of it would show them; keys are relative to the fixtures. */
export function listReplica(version: string): readonly LtxFileInfo[] {
  const root = `generated/${version}`;
  const times: Record<string, number> = JSON.parse(readFileSync(join(FIXTURES, root, "mtimes_ms.json"), "utf8"));
  return readdirSync(join(FIXTURES, root, "replica/ltx")).flatMap((level) =>
    readdirSync(join(FIXTURES, root, "replica/ltx", level)).map((name) => {
      const range = parseLtxName(name);
      const modifiedMs = times[`ltx/${level}/${name}`];
      if (range === undefined || modifiedMs === undefined) throw new Error(`unexpected fixture: ${level}/${name}`);
      const key = `${root}/replica/ltx/${level}/${name}`;
      return { ...range, level: Number(level), key, sizeBytes: readFixture(key).byteLength, modifiedMs };
    }),
  );
}

/** The bytes as a stream, cut into chunks of `size`. */
export async function* inChunks(bytes: Uint8Array, size = 65536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.slice(at, at + size);
}

export type Decoded = { readonly summary: LtxSummary; readonly pages: readonly LtxPage[] };

/** Decodes a whole file and keeps its pages. */
export async function decode(bytes: Uint8Array, { key = "test.ltx", chunkSize = 65536 } = {}): Promise<Decoded> {
  const pages: LtxPage[] = [];
  const summary = await decodeLtx(inChunks(bytes, chunkSize), key, {
    onPage: ({ page, data }) => pages.push({ page, data: data.slice() }),
  });
  return { summary, pages };
}

export function encode(header: LtxHeader, pages: Iterable<LtxPage>, flavour: LtxFlavour = "frame"): Uint8Array {
  return new Uint8Array(Buffer.concat([...encodeLtx(header, pages, { flavour })]));
}

/** A header of a file at level 0, with whatever the test needs. */
export function headerWith(fields: Partial<LtxHeader> = {}): LtxHeader {
  const wal = { ...NO_WAL, offsetBytes: 32 };
  return { pageSize: pageSizeOf(512), commit: 3, min: toTxid(1n), max: toTxid(1n), timestampMs: 0, wal, ...fields };
}

export function pageSizeOf(value: number): PageSize {
  const size = parsePageSize(value);
  if (size === undefined) throw new Error(`no page size: ${value}`);
  return size;
}

/** A page filled with `content`: one byte over and over, or a function of the position. */
export function pageOf(number: number, size: number, content: number | ((at: number) => number) = number): LtxPage {
  const data = new Uint8Array(size);
  if (typeof content === "number") data.fill(content);
  else for (let at = 0; at < size; at++) data[at] = content(at);
  return { page: toPageNumber(number), data };
}

/** Bytes that don't compress, the same at each run. */
export function noise(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return (state >>> 8) & 0xff;
  };
}

/** Applies files in order to an empty database, in memory. */
export async function restore(files: readonly LtxFileInfo[]): Promise<Uint8Array> {
  let database = new Uint8Array(0);
  for (const file of files) {
    const { summary, pages } = await decode(readFixture(file.key), { key: file.key });
    const { pageSize, commit } = summary.header;
    const resized = new Uint8Array(commit * pageSize);
    resized.set(database.subarray(0, resized.byteLength));
    for (const { page, data } of pages) resized.set(data, (page - 1) * pageSize);
    database = resized;
  }
  return database;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

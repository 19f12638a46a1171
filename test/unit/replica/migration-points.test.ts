import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemRandom } from "../../../src/base/system.ts";
import { inspectReplica } from "../../../src/replica/inspect.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { findPoint, notePoint } from "../../../src/replica/migration-points.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const signal = new AbortController().signal;

function replica() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const store = openFileStore(join(directory.path, "replica"), { random: systemRandom });
  const note = (txid: bigint, ...migrations: string[]) =>
    notePoint(store, { txid: toTxid(txid), migrations, timeMs: 1_700_000_000_000 + Number(txid) }, { signal });
  const find = (migration: string) => findPoint(store, migration, { signal });
  return { store, note, find };
}

describe("the points before migrations", () => {
  it("are found by the name of each migration that followed", async () => {
    const { note, find } = replica();
    await note(3n, "1_init", "2_more");
    await note(7n, `3_"odd" näme/?`);
    expect(await find("2_more")).toEqual({
      txid: toTxid(3n),
      migrations: ["1_init", "2_more"],
      timeMs: 1_700_000_000_003,
    });
    expect(await find(`3_"odd" näme/?`)).toMatchObject({ txid: toTxid(7n) });
    expect(await find("4_none")).toBeUndefined();
  });

  it("are those of the last try", async () => {
    const { note, find } = replica();
    await note(3n, "1_init");
    await note(3n, "1_init", "2_more");
    await note(9n, "1_init");
    expect(await find("1_init")).toMatchObject({ txid: toTxid(9n) });
    expect(await find("2_more")).toMatchObject({ txid: toTxid(3n) });
  });

  it("do not grow without end: the oldest go", async () => {
    const { note, find, store } = replica();
    for (let txid = 1n; txid <= 103n; txid += 1n) await note(txid, `m${txid}`);
    expect(await find("m3")).toBeUndefined();
    expect(await find("m4")).toMatchObject({ txid: toTxid(4n) });
    expect(await store.list("flysqlite/", { signal })).toHaveLength(100);
  });

  it("are no history, to flysqlite and to Litestream", async () => {
    const { note, store } = replica();
    await note(3n, "1_init");
    expect(await inspectReplica(store, { signal })).toMatchObject({ files: [], databaseId: undefined });
  });

  it.each(["", "{", "[]", '{"migrations":["1_init"]}', '{"migrations":[1],"time":"2026-01-01T00:00:00Z"}'])(
    "are told to be damaged where one is %j",
    async (text) => {
      const { note, find, store } = replica();
      await note(1n, "1_init");
      await store.put("flysqlite/migrations/0000000000000002.json", [Buffer.from(text)], { signal });
      await expect(find("1_init")).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    },
  );

  it("pass over what else is there", async () => {
    const { note, find, store } = replica();
    await note(1n, "1_init");
    for (const name of ["zzz.json", "00000000000000FF.json", "0000000000000002.json.tmp"])
      await store.put(`flysqlite/migrations/${name}`, [Buffer.from("?")], { signal });
    expect(await find("1_init")).toMatchObject({ txid: toTxid(1n) });
  });
});

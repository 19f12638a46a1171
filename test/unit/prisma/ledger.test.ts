import { describe, expect, it } from "vitest";
import { decideMigrations, type Ledger, type LedgerRow, readLedger } from "../../../src/prisma/ledger.ts";
import { checksum } from "../../../src/prisma/migrations.ts";

const init = { name: "1_init", checksum: checksum("init\n") };
const more = { name: "2_more", checksum: checksum("more\r\n") };

describe("decideMigrations", () => {
  it("has all of them pending on a new database", () => {
    expect(decideMigrations([init, more], { rows: undefined, otherTables: [] })).toEqual({
      kind: "pending",
      names: ["1_init", "2_more"],
      newDatabase: true,
    });
  });

  it("takes a database for new where only its ledger was made, as by a crash", () => {
    expect(decideMigrations([init], { rows: [], otherTables: [] })).toMatchObject({ newDatabase: true });
  });

  it("wants the ledger made also where there is nothing to apply", () => {
    expect(decideMigrations([], { rows: undefined, otherTables: [] })).toMatchObject({ kind: "pending", names: [] });
  });

  it("has only those pending that were not applied, in the order of the list, older ones too", () => {
    expect(decideMigrations([init, more], ledger(row(more)))).toEqual({
      kind: "pending",
      names: ["1_init"],
      newDatabase: false,
    });
  });

  it("applies one again that was rolled back", () => {
    expect(decideMigrations([init], ledger(row(init, { rolledBack: true })))).toMatchObject({ names: ["1_init"] });
  });

  it.each([
    ["all are recorded", ledger(row(init), row(more))],
    [
      "one was rolled back and applied again",
      ledger(row(init, { finished: false, rolledBack: true }), row(init), row(more)),
    ],
  ])("is up to date where %s", (_, recorded) => {
    expect(decideMigrations([init, more], recorded)).toEqual({ kind: "up-to-date", changed: [], unknown: [] });
  });

  it("is up to date where a newer release applied more, and names these", () => {
    const gone = { name: "3_gone", checksum: "x" };
    const undone = row({ name: "4_undone", checksum: "y" }, { rolledBack: true });
    expect(decideMigrations([init, more], ledger(row(init), row(gone), row(more), row(gone), undone))).toEqual({
      kind: "up-to-date",
      changed: [],
      unknown: ["3_gone"],
    });
  });

  it("names what was edited after it was applied, and goes on", () => {
    const edited = row({ ...init, checksum: checksum("edited") });
    expect(decideMigrations([init, more], ledger(edited, row(more)))).toEqual({
      kind: "up-to-date",
      changed: ["1_init"],
      unknown: [],
    });
  });

  it("takes a script with other line ends for the same", () => {
    const recorded = ledger(
      row({ ...init, checksum: checksum("init\r\n") }),
      row({ ...more, checksum: checksum("more\n") }),
    );
    const scriptOf = (name: string) => (name === "1_init" ? "init\n" : "more\r\n");
    expect(decideMigrations([init, more], recorded, scriptOf)).toEqual({
      kind: "up-to-date",
      changed: [],
      unknown: [],
    });
  });

  it("asks for a script only where its checksum differs", () => {
    const asked: string[] = [];
    const recorded = ledger(row(init), row({ ...more, checksum: "other" }));
    const scriptOf = (name: string) => {
      asked.push(name);
      return "more\r\n";
    };
    expect(decideMigrations([init, more], recorded, scriptOf)).toEqual({
      kind: "up-to-date",
      changed: ["2_more"],
      unknown: [],
    });
    expect(asked).toEqual(["2_more"]);
  });

  it("refuses a database with tables and no ledger (P3005)", () => {
    expect(decideMigrations([init], { rows: undefined, otherTables: ["A"] })).toMatchObject({
      kind: "refused",
      code: "P3005",
      message: expect.stringMatching(/^The database schema is not empty\./),
    });
  });

  it.each([
    [
      "only Litestream's tables",
      ["_litestream_lock", "_litestream_seq"],
      /`flysqlite migrate --drop-litestream-tables`/,
    ],
    ["Litestream's tables and others", ["_litestream_lock", "A"], /`flysqlite migrate resolve --applied NAME`/],
    ["tables", ["A"], /`flysqlite migrate resolve --applied NAME`/],
  ])("says the way out of a database with %s", (_, otherTables, wayOut) => {
    const decision = decideMigrations([init], { rows: undefined, otherTables });
    expect(decision).toMatchObject({ code: "P3005", wayOut: expect.stringMatching(wayOut) });
  });

  it("refuses a database with unfinished migrations, whichever they are, and lists them (P3009)", () => {
    const failed = row({ name: "0_gone", checksum: "x" }, { finished: false });
    expect(decideMigrations([init], ledger(row(init), failed, row(init, { finished: false })))).toMatchObject({
      kind: "refused",
      code: "P3009",
      message: expect.stringMatching(
        /\nThe `0_gone` migration started at 2024-03-01 13:33:22 UTC failed\nThe `1_init` migration [^\n]+$/,
      ),
      wayOut: expect.stringContaining("`flysqlite migrate resolve --rolled-back 0_gone`"),
    });
  });
});

describe("readLedger", () => {
  it("names the tables of a database without a ledger", () => {
    expect(readLedger(answering(["A", "sqlite_sequence"], []))).toEqual({
      rows: undefined,
      otherTables: ["A", "sqlite_sequence"],
    });
  });

  it.each([
    [1_709_300_002_000, "2024-03-01 13:33:22 UTC"],
    [1_709_300_002_071n, "2024-03-01 13:33:22.071 UTC"],
    ["2024-03-01T13:33:22.071+00:00", "2024-03-01 13:33:22.071 UTC"],
    ["2024-03-01 13:33:22", "2024-03-01 13:33:22 UTC"],
    ["some day", "some day"],
  ])("reads a start of %s as %s", (stored, startedAt) => {
    const failed = {
      migration_name: "1_init",
      checksum: "x",
      started_at: stored,
      finished_at: null,
      rolled_back_at: 1,
    };
    expect(readLedger(answering(["_prisma_migrations", "A"], [failed]))).toEqual({
      rows: [{ name: "1_init", checksum: "x", startedAt, finished: false, rolledBack: true }],
      otherTables: ["A"],
    });
  });
});

function ledger(...rows: LedgerRow[]): Ledger {
  return { rows, otherTables: ["A"] };
}

function row(
  migration: { readonly name: string; readonly checksum: string },
  more: Partial<LedgerRow> = {},
): LedgerRow {
  return { ...migration, startedAt: "2024-03-01 13:33:22 UTC", finished: true, rolledBack: false, ...more };
}

function answering(tables: readonly string[], rows: readonly { readonly [column: string]: unknown }[]) {
  return { all: (sql: string) => (sql.includes("sqlite_master") ? tables.map((name) => ({ name })) : rows) };
}

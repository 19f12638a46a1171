import { describe, expect, it } from "vitest";
import { decideMigrations, type Ledger, type LedgerRow, readLedger } from "../../../src/prisma/ledger.ts";
import { checksum } from "../../../src/prisma/migrations.ts";

const init = { name: "1_init", checksum: checksum("init\n") };
const more = { name: "2_more", checksum: checksum("more\r\n") };

describe("decideMigrations", () => {
  it("has all of them pending on a new database", () => {
    expect(decideMigrations([init, more], { rows: undefined, otherTableCount: 0 })).toEqual({
      kind: "pending",
      names: ["1_init", "2_more"],
      newDatabase: true,
    });
  });

  it("takes a database for new where only its ledger was made, as by a crash", () => {
    expect(decideMigrations([init], { rows: [], otherTableCount: 0 })).toMatchObject({ newDatabase: true });
  });

  it("wants the ledger made also where there is nothing to apply", () => {
    expect(decideMigrations([], { rows: undefined, otherTableCount: 0 })).toMatchObject({ kind: "pending", names: [] });
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
    ["more are recorded than there are", ledger(row(init), row(more), row({ name: "3_gone", checksum: "x" }))],
  ])("is up to date where %s", (_, recorded) => {
    expect(decideMigrations([init, more], recorded)).toEqual({ kind: "up-to-date", changed: [] });
  });

  it("names what was edited after it was applied, and goes on", () => {
    const edited = row({ ...init, checksum: checksum("edited") });
    expect(decideMigrations([init, more], ledger(edited, row(more)))).toEqual({
      kind: "up-to-date",
      changed: ["1_init"],
    });
  });

  it("takes a script with other line ends for the same", () => {
    const recorded = ledger(
      row({ ...init, checksum: checksum("init\r\n") }),
      row({ ...more, checksum: checksum("more\n") }),
    );
    const scriptOf = (name: string) => (name === "1_init" ? "init\n" : "more\r\n");
    expect(decideMigrations([init, more], recorded, scriptOf)).toEqual({ kind: "up-to-date", changed: [] });
  });

  it("asks for a script only where its checksum differs", () => {
    const asked: string[] = [];
    const recorded = ledger(row(init), row({ ...more, checksum: "other" }));
    const scriptOf = (name: string) => {
      asked.push(name);
      return "more\r\n";
    };
    expect(decideMigrations([init, more], recorded, scriptOf)).toEqual({ kind: "up-to-date", changed: ["2_more"] });
    expect(asked).toEqual(["2_more"]);
  });

  it("refuses a database with tables and no ledger (P3005)", () => {
    expect(decideMigrations([init], { rows: undefined, otherTableCount: 1 })).toMatchObject({
      kind: "refused",
      code: "P3005",
      message: expect.stringMatching(/^The database schema is not empty\./),
    });
  });

  it("refuses a database with unfinished migrations, whichever they are, and lists them (P3009)", () => {
    const failed = row({ name: "0_gone", checksum: "x" }, { finished: false });
    expect(decideMigrations([init], ledger(row(init), failed, row(init, { finished: false })))).toMatchObject({
      kind: "refused",
      code: "P3009",
      message: expect.stringMatching(
        /\nThe `0_gone` migration started at 2024-03-01 13:33:22 UTC failed\nThe `1_init` migration [^\n]+$/,
      ),
    });
  });
});

describe("readLedger", () => {
  it("counts the tables of a database without a ledger", () => {
    expect(readLedger(answering(["A", "sqlite_sequence"], []))).toEqual({ rows: undefined, otherTableCount: 2 });
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
      otherTableCount: 1,
    });
  });
});

function ledger(...rows: LedgerRow[]): Ledger {
  return { rows, otherTableCount: 1 };
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

// Everything that a person can get wrong. Each is told with its code, the file, and a way out; nothing is made on the
// volume or in the replica; and `run --dry` says the same before a deploy.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { BARE, type Box, type BoxOptions, createBox, ROOT, type Start } from "../support/box.ts";
import { datasource, prisma6, writeFiles } from "../support/project.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { treeOf } from "../support/tree.ts";

type Case = {
  readonly it: string;
  readonly box?: BoxOptions;
  readonly arrange?: (box: Box) => void;
  readonly start?: Start;
  readonly exitStatus: number;
  /** The codes that are told, first to last. */
  readonly codes: readonly string[];
  /** What the output has to say. */
  readonly says: readonly (string | RegExp)[];
};

const bare = { executable: BARE } as const;
const project = { ...bare, app: prisma6('"file:./dev.db"') } as const;
const schema = (text: string): BoxOptions => ({
  ...bare,
  app: prisma6('"file:./dev.db"', { "prisma/schema.prisma": text }),
});
const litestreamYml = (text: string) => (box: Box) => writeFiles(box.app, { "litestream.yml": text });
const ON_VOLUME = { environment: { FLYSQLITE_REPLICA: undefined } };

const CASES: readonly Case[] = [
  {
    it: "a missing schema",
    box: project,
    arrange: (box) => rmSync(join(box.app, "prisma/schema.prisma")),
    exitStatus: 78,
    codes: ["E_SCHEMA"],
    says: ['"/app"', '"prisma/schema.prisma"'],
  },
  {
    it: "a provider that is not sqlite",
    box: schema(datasource('"file:./dev.db"').replace("sqlite", "postgresql")),
    exitStatus: 78,
    codes: ["E_SCHEMA"],
    says: ['prisma/schema.prisma:2: provider is "postgresql"; flysqlite supports "sqlite"'],
  },
  {
    it: "a schema that can't be read",
    box: schema("// The datasource.\ndatasource db {\n  provider = "),
    exitStatus: 78,
    codes: ["E_SCHEMA"],
    says: ["prisma/schema.prisma:2: the datasource block has no closing brace"],
  },
  {
    it: "a project without migrations",
    box: project,
    arrange: (box) => rmSync(join(box.app, "prisma/migrations"), { recursive: true }),
    exitStatus: 70,
    codes: ["E_BUILD"],
    says: ['"prisma/migrations"', "npx prisma migrate dev"],
  },
  {
    it: "a litestream.yml that can't be read",
    arrange: litestreamYml("dbs:\n  - path: [\n"),
    start: ON_VOLUME,
    exitStatus: 78,
    codes: ["E_CONFIG"],
    says: [/\/app\/litestream\.yml:\d+: /],
  },
  {
    it: "an unknown key in litestream.yml",
    arrange: litestreamYml("dbs:\n  - path: /data/dev.db\n    replica:\n      pth: /replica/db\n"),
    start: ON_VOLUME,
    exitStatus: 78,
    codes: ["E_CONFIG"],
    says: ['/app/litestream.yml:4: "pth" is no key of a replica'],
  },
  {
    it: "an unset variable in litestream.yml",
    arrange: litestreamYml("dbs:\n  - path: /data/dev.db\n    replica:\n      path: $REPLICA_PATH\n"),
    start: ON_VOLUME,
    exitStatus: 78,
    codes: ["E_CONFIG"],
    says: ["/app/litestream.yml:4: the variable REPLICA_PATH is not set"],
  },
  {
    it: "a volume that is missing",
    start: { words: ["--volume", "/nowhere"] },
    exitStatus: 72,
    codes: ["E_VOLUME"],
    says: ['"/nowhere" (--volume)'],
  },
  {
    it: "a volume that is read-only",
    box: { readOnlyVolume: true },
    exitStatus: 72,
    codes: ["E_VOLUME"],
    says: ['the volume "/data" (default): it is mounted read-only'],
  },
  {
    it: "a database that is none",
    arrange: (box) => writeFileSync(join(box.volume, "dev.db"), "A shopping list, all in all.\n".repeat(40)),
    exitStatus: 65,
    codes: ["E_DB_INVALID"],
    says: ['"/data/dev.db"'],
  },
  {
    it: "a database that was cut off",
    arrange(box) {
      const path = join(box.volume, "dev.db");
      using database = new DatabaseSync(path);
      database.exec("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(40000))");
      database.close();
      truncateSync(path, 8192);
    },
    exitStatus: 65,
    codes: ["E_DB_INVALID"],
    says: ['"/data/dev.db": it has 8192 bytes, and its header says'],
  },
  {
    it: "a command that is not there",
    start: { words: ["nodee", "server.ts"] },
    exitStatus: 127,
    codes: ["E_COMMAND_NOT_FOUND"],
    says: ['"nodee" is in none of /usr/local/bin'],
  },
  {
    it: "a command that can't be executed",
    start: { words: ["./server.ts"] },
    exitStatus: 126,
    codes: ["E_COMMAND_NOT_EXECUTABLE"],
    says: ['"/app/server.ts"', "chmod +x"],
  },
  {
    it: "an unknown flag",
    start: { words: ["--sync-intervall", "1s"] },
    exitStatus: 64,
    codes: ["E_USAGE"],
    says: ["--sync-intervall"],
  },
  {
    it: "a misspelt variable of ours",
    start: { environment: { FLYSQLITE_REPLIKA: "file:///replica/db" } },
    exitStatus: 78,
    codes: ["E_CONFIG"],
    says: ["FLYSQLITE_REPLIKA: no such setting", "FLYSQLITE_REPLICA"],
  },
  {
    it: "a replica that is a file, while there is no database",
    arrange: (box) => writeFileSync(join(box.replica, "db"), ""),
    exitStatus: 69,
    codes: ["E_REPLICA_UNREACHABLE"],
    says: ['"file:///replica/db"'],
  },
  {
    it: "a replica in a directory that is missing, while there is no database",
    start: { environment: { FLYSQLITE_REPLICA: "file:///backup/disk/db" } },
    exitStatus: 69,
    codes: ["E_REPLICA_UNREACHABLE"],
    says: ['"file:///backup/disk/db"'],
  },
  {
    it: "several settings at once",
    start: { words: ["--sync-interval", "1"], environment: { FLYSQLITE_STOP_TIMEOUT: "soon", FLYSQLITE_LOG: "xml" } },
    exitStatus: 78,
    codes: ["E_CONFIG"],
    says: ["--sync-interval: ", "FLYSQLITE_STOP_TIMEOUT: ", 'FLYSQLITE_LOG: "xml"'],
  },
  {
    it: "several things around it at once",
    arrange: (box) => writeFileSync(join(box.replica, "db"), ""),
    start: { words: ["--volume", "/nowhere", "nodee"] },
    exitStatus: 127,
    codes: ["E_COMMAND_NOT_FOUND", "E_VOLUME", "E_REPLICA_UNREACHABLE"],
    says: ['"nodee"', '"/nowhere"', '"file:///replica/db"'],
  },
];

/** Starts twice, for real and dry, and holds both to the same answer. */
async function expectRefusal(box: Box, { start = {}, exitStatus, codes, says }: Omit<Case, "it">): Promise<void> {
  const before = [treeOf(box.volume), treeOf(box.replica)];
  const real = await box.run(start);
  expect(real.exitStatus, real.output).toBe(exitStatus);
  expect([...real.output.matchAll(/failed +(E_\w+):/g)].map(([, code]) => code)).toEqual(codes);
  for (const saying of says) expect(real.output).toMatch(saying);
  expect([...real.output.matchAll(/^ +try +\S/gm)]).toHaveLength(codes.length);
  expect(real.output).not.toContain("listening on");
  expect([treeOf(box.volume), treeOf(box.replica)]).toEqual(before);

  const dry = await box.run({ ...start, words: ["run", "--dry", "--json", ...(start.words ?? [])] });
  expect(dry.exitStatus, dry.output).toBe(exitStatus);
  const { ok, problems } = JSON.parse(dry.standardOutput);
  expect(ok).toBe(false);
  expect(problems).toMatchObject(codes.map((code) => ({ code, try: expect.stringMatching(/\S/) })));
  expect([treeOf(box.volume), treeOf(box.replica)]).toEqual(before);
}

describe("a start is refused, with the reason and a way out, for", () => {
  it.each(CASES)("$it", async ({ box: options, arrange, ...expected }) => {
    using box = createBox(options);
    arrange?.(box);
    await expectRefusal(box, expected);
  });
});

it("a refusal is JSON too where the log is, whichever way that was asked for", async () => {
  using box = createBox();
  const asked = [{ words: ["--log", "json", "nodee"] }, { words: ["nodee"], environment: { FLYSQLITE_LOG: "json" } }];
  for (const start of asked) {
    const { output } = await box.run(start);
    const told = output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(told).toEqual([
      expect.objectContaining({ level: "error", code: "E_COMMAND_NOT_FOUND", try: expect.any(String) }),
    ]);
  }
});

describe("an executable that was damaged", () => {
  /** A copy of the test app's executable with a byte flipped at the offset that `find` gives. */
  function damagedExecutable(directory: string, find: (bytes: Buffer) => number): string {
    const bytes = readFileSync(join(ROOT, "dist/flysqlite"));
    const offset = find(bytes);
    expect(offset).toBeGreaterThan(0);
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
    const path = join(directory, "flysqlite");
    writeFileSync(path, bytes, { mode: 0o755 });
    return path;
  }

  /** A byte in the middle of a migration's script. */
  function inArchive(bytes: Buffer): number {
    const HEADER_SIZE = 512;
    const MAGIC_OFFSET = 257;
    // The name stands elsewhere too, as a constant of the program.
    let start = bytes.indexOf("manifest.json\0");
    while (
      !bytes
        .subarray(start + MAGIC_OFFSET)
        .subarray(0, 5)
        .equals(Buffer.from("ustar"))
    ) {
      start = bytes.indexOf("manifest.json\0", start + 1);
      if (start === -1) return -1;
    }
    return bytes.indexOf("CREATE TABLE", start + HEADER_SIZE);
  }

  /** A byte of the manifest in the index: in the app's name. */
  function inIndex(bytes: Buffer): number {
    const start = bytes.indexOf('{"formatVersion":1,"manifest":"');
    return start === -1 ? -1 : bytes.indexOf("guestbook", start);
  }

  it("in its migrations fails a first start, and leaves no database", async () => {
    using directory = temporaryDirectory();
    using box = createBox({ executable: damagedExecutable(directory.path, inArchive) });
    await expectRefusal(box, { exitStatus: 65, codes: ["E_BUNDLE"], says: ["bundle.tar", "npx flysqlite build"] });
  });

  it("in its migrations starts where there is nothing to migrate, as they are not read then", async () => {
    using directory = temporaryDirectory();
    using box = createBox();
    const first = await box.start();
    await first.listening();
    await first.stop();
    const second = await box.start({ executable: damagedExecutable(directory.path, inArchive) });
    await second.listening();
    expect(await second.stop()).toBe(0);
  });

  it("in its index fails every start", async () => {
    using directory = temporaryDirectory();
    using box = createBox();
    const executable = damagedExecutable(directory.path, inIndex);
    const refusal = { start: { executable }, exitStatus: 65, codes: ["E_BUNDLE"], says: ["the manifest"] };
    await expectRefusal(box, refusal);
    const first = await box.start();
    await first.listening();
    await first.stop();
    await expectRefusal(box, refusal);
  });
});

describe("a build", () => {
  it("is refused where the migrations directory is empty, and writes nothing", () => {
    using directory = temporaryDirectory();
    const app = join(directory.path, "app");
    writeFiles(app, prisma6('"file:./dev.db"'));
    rmSync(join(app, "prisma/migrations"), { recursive: true });
    mkdirSync(join(app, "prisma/migrations"));
    const before = treeOf(directory.path);
    const words = ["build", "--app", app, "--out", join(directory.path, "flysqlite")];
    expect(() => execFileSync(process.execPath, [join(ROOT, "dist/npx.mjs"), ...words], { stdio: "pipe" })).toThrow(
      expect.objectContaining({
        status: 70,
        message: expect.stringMatching(/E_BUILD: .*"prisma\/migrations"[\s\S]*try +Make the first one with/),
      }),
    );
    expect(treeOf(directory.path)).toEqual(before);
  });
});

import { Header, type HeaderData, Pax } from "tar";
import { describe, expect, it } from "vitest";
import { packBundle } from "../../../build/pack-bundle.ts";
import type { Assets } from "../../../src/base/assets.ts";
import { checksumOf } from "../../../src/base/sealed.ts";
import { type BundleIndex, readIndex, readMigrations, sha256 } from "../../../src/prisma/bundle.ts";
import type { Manifest, Migration } from "../../../src/prisma/manifest.ts";

const migrations: readonly Migration[] = [
  { name: "20240105093000_init", sql: 'CREATE TABLE "User" (id INTEGER PRIMARY KEY);\n' },
  { name: "20240106093000_byte_order_mark", sql: "\uFEFFSELECT 1; -- ☃" },
  { name: "20240107093000_no_script", sql: undefined },
  { name: "20240108093000_empty", sql: "" },
];

const manifest: Manifest = {
  formatVersion: 1,
  flysqliteVersion: "0.1.0",
  appName: "guest-book",
  prismaMajor: 7,
  database: { variable: "DATABASE_URL", literal: "file:./dev.db", baseDirectory: "." },
  migrations: migrations.map(({ name, sql }) => ({ name, checksum: sha256(sql ?? "") })),
  seed: "tsx prisma/seed.ts",
  start: "node server.js",
};

const lockFile = 'provider = "sqlite"\n';
const schemaFiles = [{ path: "prisma/schema.prisma", bytes: Buffer.from("datasource db {}") }];
const content = { manifest, schemaFiles, migrations, lockFile };

/** The assets of an executable with this bundle. */
function assetsOf({ indexJson, bundleTar, template }: ReturnType<typeof packBundle>): Assets {
  const files = new Map<string, Uint8Array | undefined>([
    ["index.json", indexJson],
    ["bundle.tar", bundleTar],
    ["template.db", template],
  ]);
  return { read: (name) => files.get(name) };
}

function indexOf(assets: Assets): BundleIndex {
  const index = readIndex(assets);
  if (index === undefined) throw new Error("no index");
  return index;
}

const damaged = (reason: string) =>
  expect.objectContaining({ code: "E_BUNDLE", message: expect.stringContaining(reason) });

describe("a bundle", () => {
  it("goes round", async () => {
    const assets = assetsOf(packBundle(content));
    const index = indexOf(assets);
    expect(index.manifest).toEqual(manifest);
    expect(await readMigrations(assets, index)).toEqual({ migrations, lockFile });
  });

  it("goes round with nothing in it", async () => {
    const bare: Manifest = {
      formatVersion: 1,
      flysqliteVersion: "0.1.0",
      prismaMajor: 6,
      database: { baseDirectory: "prisma" },
      migrations: [],
    };
    const assets = assetsOf(packBundle({ manifest: bare, schemaFiles: [], migrations: [], lockFile: undefined }));
    expect(indexOf(assets).manifest).toStrictEqual(bare);
    expect(await readMigrations(assets, indexOf(assets))).toEqual({ migrations: [], lockFile: undefined });
  });

  it.each([
    ["as long as a directory's name can be", "x".repeat(255)],
    ["of 99 to 101 bytes with its path", "y".repeat(73)],
    ["not in ASCII", "20240101_ünï cødé ☃"],
    ["that hides", ".hidden"],
    ["with a backslash and a colon", "a\\b:c"],
  ])("holds a migration with a name %s", async (_, name) => {
    const odd = [{ name, sql: "SELECT 1" }];
    const named = { ...manifest, migrations: [{ name, checksum: sha256("SELECT 1") }] };
    const assets = assetsOf(packBundle({ ...content, manifest: named, migrations: odd }));
    expect((await readMigrations(assets, indexOf(assets))).migrations).toEqual(odd);
  });

  it("keeps the manifest's order of migrations, not the archive's", async () => {
    const reversed = { ...manifest, migrations: manifest.migrations.toReversed() };
    const assets = assetsOf(packBundle({ ...content, manifest: reversed }));
    const names = (await readMigrations(assets, indexOf(assets))).migrations.map(({ name }) => name);
    expect(names).toEqual(migrations.map(({ name }) => name).toReversed());
  });

  it("has the same bytes whenever it is made, in whatever order its files were found", () => {
    const files = ["prisma/schema/main.prisma", "prisma/schema/models/user.prisma"].map((path) => ({
      path,
      bytes: Buffer.from(path),
    }));
    const first = packBundle({ ...content, schemaFiles: files });
    const second = packBundle({
      ...content,
      schemaFiles: files.toReversed(),
      migrations: migrations.toReversed(),
    });
    expect(Buffer.from(second.bundleTar).equals(first.bundleTar)).toBe(true);
    expect(Buffer.from(second.indexJson).equals(first.indexJson)).toBe(true);
    expect(sha256(first.bundleTar)).toMatchInlineSnapshot(
      `"aec442a1e2bc51ae52c70f2f18fa77bcd209dc65d44ae87d5c126964e9174afd"`,
    );
  });

  it("holds a schema of several files under schema/, wherever the app has them", () => {
    const files = ["db/main.prisma", "db/models/user.prisma"].map((path) => ({ path, bytes: Buffer.from(path) }));
    const text = Buffer.from(packBundle({ ...content, schemaFiles: files }).bundleTar).toString("latin1");
    expect(text).toContain("schema/main.prisma\0");
    expect(text).toContain("schema/models/user.prisma\0");
  });

  it("is refused when it is made where it could not be read", () => {
    const outside = [{ name: "..", sql: "SELECT 1" }];
    expect(() => packBundle({ ...content, migrations: outside })).toThrow(expect.objectContaining({ code: "E_BUILD" }));
    const large = [{ name: "large", sql: " ".repeat(16 * 1024 * 1024 + 1) }];
    expect(() => packBundle({ ...content, migrations: large })).toThrow("the limit is 16777216");
  });
});

describe("readIndex", () => {
  const packed = packBundle(content);

  it("gives undefined where the program carries no bundle", () => {
    expect(readIndex({ read: () => undefined })).toBeUndefined();
  });

  it("refuses a flip of any bit", async () => {
    for (let offset = 0; offset < packed.indexJson.length; offset++) {
      const indexJson = Buffer.from(packed.indexJson);
      indexJson[offset] = (indexJson[offset] ?? 0) ^ (1 << (offset % 8));
      const assets = assetsOf({ ...packed, indexJson });
      // A flip in the archive's own digest or size shows when the archive is read.
      const read = async () => readMigrations(assets, indexOf(assets));
      await expect(read(), `offset ${offset}`).rejects.toMatchObject({ code: "E_BUNDLE" });
    }
  });

  const withManifest = (value: unknown) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const index = {
      ...JSON.parse(Buffer.from(packed.indexJson).toString()),
      manifest: text,
      manifestChecksum: checksumOf(text),
    };
    return assetsOf({ ...packed, indexJson: Buffer.from(JSON.stringify(index)) });
  };

  it.each([
    ["no JSON", "{", "JSON"],
    ["null", "null", "the manifest is null, not an object"],
    ["a list", [], "the manifest is [], not an object"],
    ["a later format", { ...manifest, formatVersion: 2 }, "formatVersion is 2, not 1"],
    ["no version", { ...manifest, flysqliteVersion: undefined }, "flysqliteVersion is missing, not a text"],
    ["a seed that is a number", { ...manifest, seed: 1 }, "seed is 1, not a text"],
    ["half a Prisma", { ...manifest, prismaMajor: 6.5 }, "prismaMajor is 6.5, not a whole number"],
    ["no database", { ...manifest, database: null }, "database is null, not an object"],
    ["no directory", { ...manifest, database: {} }, "database.baseDirectory is missing"],
    ["no migrations", { ...manifest, migrations: {} }, "migrations is {}, not a list"],
    [
      "a name that leads elsewhere",
      { ...manifest, migrations: [{ name: "../x", checksum: "" }] },
      "no directory's name",
    ],
    ["a short checksum", { ...manifest, migrations: [{ name: "x", checksum: "00" }] }, "not a SHA-256"],
    [
      "a migration twice",
      { ...manifest, migrations: [manifest.migrations[0], manifest.migrations[0]] },
      "a name twice",
    ],
  ])("refuses a manifest with %s", (_, value, reason) => {
    expect(() => readIndex(withManifest(value))).toThrow(damaged(reason));
  });

  it.each(["", "null", "[]", "{}", '{"formatVersion":2}', "\xff"])("refuses %j for an index", (text) => {
    const assets = assetsOf({ ...packed, indexJson: Buffer.from(text, "latin1") });
    expect(() => readIndex(assets)).toThrow(damaged(""));
  });
});

describe("readMigrations", () => {
  const packed = packBundle(content);

  it("refuses an archive that was changed, cut, prolonged or taken away, before it looks inside", async () => {
    const index = indexOf(assetsOf(packed));
    const flipped = Buffer.from(packed.bundleTar);
    flipped[700] = (flipped[700] ?? 0) ^ 1;
    const attempts: [Uint8Array | undefined, string][] = [
      [flipped, "checksum"],
      [packed.bundleTar.subarray(0, 1024), "has 1024 bytes where the index names"],
      [Buffer.concat([packed.bundleTar, Buffer.alloc(512)]), "where the index names"],
      [undefined, "bundle.tar is missing"],
    ];
    for (const [bundleTar, reason] of attempts) {
      const assets: Assets = { read: (name) => (name === "bundle.tar" ? bundleTar : packed.indexJson) };
      await expect(readMigrations(assets, index)).rejects.toThrow(damaged(reason));
    }
  });

  /** Reads an archive whose hashes are all right, as one would be that an attacker made with an executable around it. */
  const readHostile = async (archive: Uint8Array) => {
    const index = { manifest, bundleChecksum: checksumOf(archive), bundleSizeBytes: archive.length };
    return readMigrations({ read: () => archive }, index);
  };

  const end = Buffer.alloc(1024);
  const good = Buffer.from(packed.bundleTar).subarray(0, -1024);
  const body = (text: string | Uint8Array) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 511)]);
  };
  const entry = (data: HeaderData, text = "") => {
    const header = new Header({
      mode: 0o644,
      size: Buffer.byteLength(text),
      mtime: new Date(0),
      type: "File",
      ...data,
    });
    header.encode();
    return Buffer.concat([header.block ?? Buffer.alloc(0), body(text)]);
  };
  const withEntry = (...extra: readonly Uint8Array[]) => Buffer.concat([good, ...extra, end]);

  it("reads the archive that the hostile ones are made of", async () => {
    expect((await readHostile(withEntry())).migrations).toEqual(migrations);
  });

  it.each([
    ["an absolute name", { path: "/etc/passwd" }, "which no bundle has"],
    ["an absolute name of an expected kind", { path: "/migrations/x/migration.sql" }, "which no bundle has"],
    ["a name that climbs", { path: "../manifest.json" }, "which no bundle has"],
    ["a name that climbs from within", { path: "migrations/../migration.sql" }, "which no bundle has"],
    ["a name that climbs in the schema", { path: "schema/../../x.prisma" }, "which no bundle has"],
    ["a name with a dot", { path: "./manifest.json" }, "which no bundle has"],
    ["a name with an empty part", { path: "migrations//migration.sql" }, "which no bundle has"],
    ["an unexpected file", { path: "migrations/20240105093000_init/run.sh" }, "which no bundle has"],
    ["an unexpected directory", { path: "node_modules/", type: "Directory" }, "which no bundle has"],
    ["a migration that the manifest does not name", { path: "migrations/x/migration.sql" }, "does not name"],
    ["a file twice", { path: "manifest.json" }, '"manifest.json" twice'],
    ["a directory twice", { path: "migrations/20240107093000_no_script/", type: "Directory" }, "twice"],
    ["a symbolic link", { path: "schema.prisma", type: "SymbolicLink", linkpath: "/etc/passwd" }, "a SymbolicLink"],
    ["a hard link", { path: "schema.prisma", type: "Link", linkpath: "manifest.json" }, "a Link"],
    ["a device", { path: "schema.prisma", type: "CharacterDevice" }, "a CharacterDevice"],
    ["a block device", { path: "schema.prisma", type: "BlockDevice" }, "a BlockDevice"],
    ["a FIFO", { path: "schema.prisma", type: "FIFO" }, "a FIFO"],
    ["a directory where a file is expected", { path: "schema.prisma", type: "Directory" }, "a Directory"],
    ["a setuid bit", { path: "schema/a.prisma", mode: 0o4755 }, "the mode 04755"],
    ["a file that is too large", { path: "schema/a.prisma", size: 16 * 1024 * 1024 + 1 }, "more than 16777216"],
    ["a file that ends early", { path: "schema/a.prisma", size: 10_000 }, "Truncated"],
  ] as const satisfies readonly (readonly [string, HeaderData, string])[])("refuses %s", async (_, data, reason) => {
    await expect(readHostile(withEntry(entry(data)))).rejects.toThrow(damaged(reason));
  });

  it("refuses a name that an extended header gives", async () => {
    for (const path of ["../../etc/passwd", "/etc/passwd", "manifest.json"]) {
      const archive = withEntry(new Pax({ path }).encode(), entry({ path: "schema/a.prisma" }));
      await expect(readHostile(archive)).rejects.toThrow(damaged(`"${path}"`));
    }
  });

  it("refuses a long name of GNU's kind that leads elsewhere", async () => {
    const name = `../${"x".repeat(200)}`;
    const long = entry({ path: "././@LongLink", type: "NextFileHasLongPath" }, `${name}\0`);
    await expect(readHostile(withEntry(long, entry({ path: "schema/a.prisma" })))).rejects.toThrow(damaged(name));
  });

  it("refuses an extended header that is too large", async () => {
    const pax = new Pax({ path: "schema/a.prisma", comment: "x".repeat(5000) }).encode();
    await expect(readHostile(withEntry(pax, entry({ path: "schema/a.prisma" })))).rejects.toThrow(damaged(""));
  });

  it("refuses more files than a bundle may have", async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => entry({ path: `schema/${n}.prisma` }));
    await expect(readHostile(withEntry(...many))).rejects.toThrow(damaged("more than 10000 files"));
  });

  it("refuses an archive that is too large, or compressed", async () => {
    await expect(readHostile(Buffer.alloc(64 * 1024 * 1024 + 1))).rejects.toThrow(damaged("more than 67108864"));
    const { gzipSync, zstdCompressSync } = await import("node:zlib");
    for (const compress of [gzipSync, zstdCompressSync]) {
      await expect(readHostile(compress(packed.bundleTar))).rejects.toThrow(damaged("does not begin with"));
    }
  });

  it("refuses a kind of entry that the parser does not know", async () => {
    const unknown = new Header(entry({ path: "schema/a.prisma" }));
    const block = entry({ path: "schema/a.prisma" });
    block.write("Z", 156); // the type
    block.write(((unknown.cksum ?? 0) - "0".charCodeAt(0) + "Z".charCodeAt(0)).toString(8).padStart(6, "0"), 148);
    await expect(readHostile(withEntry(block))).rejects.toThrow(damaged("schema/a.prisma"));
  });

  it("refuses a header whose checksum is wrong", async () => {
    const broken = entry({ path: "schema/a.prisma" });
    broken[0] = (broken[0] ?? 0) ^ 1;
    await expect(readHostile(withEntry(broken))).rejects.toThrow(damaged("checksum"));
  });

  it("refuses another manifest than the index has", async () => {
    const other = packBundle({ ...content, manifest: { ...manifest, seed: "rm -rf /" } });
    await expect(readHostile(other.bundleTar)).rejects.toThrow(damaged("not the manifest of the index"));
  });

  it.each([
    ["a migration that is missing", migrations.slice(1), 'does not hold the migration "20240105093000_init"'],
    [
      "a script that was changed",
      migrations.with(0, { name: "20240105093000_init", sql: "DROP TABLE x" }),
      "does not have the checksum",
    ],
  ])("refuses %s", async (_, changed, reason) => {
    await expect(readHostile(packBundle({ ...content, migrations: changed }).bundleTar)).rejects.toThrow(
      damaged(reason),
    );
  });

  it("refuses noise, and never fails in another way", async () => {
    // Every 7th byte of the archive inverted, one at a time.
    for (let offset = 0; offset < packed.bundleTar.length; offset += 7) {
      const noise = Buffer.from(packed.bundleTar);
      noise[offset] = (noise[offset] ?? 0) ^ 0xff;
      const outcome = await readHostile(noise).catch((error: unknown) => error);
      const isSame = outcome instanceof Error || JSON.stringify(outcome) === JSON.stringify({ migrations, lockFile });
      expect(isSame, `offset ${offset}`).toBe(true);
      if (outcome instanceof Error) expect(outcome, `offset ${offset}`).toMatchObject({ code: "E_BUNDLE" });
    }
  });
});

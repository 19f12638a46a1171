// The app's bundle in the executable, as it is read: a small index that every start reads, and a tar archive that
// only migrating reads. Both are checked as if a stranger had made them, and nothing is ever extracted to a disk.
// build/pack-bundle.ts writes them.
//
// The archive holds `manifest.json`, `schema.prisma` or files under `schema/`, `migrations/migration_lock.toml`,
// `migrations/<name>/migration.sql`, and `migrations/<name>/` alone where a migration has no script.

import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Assets } from "../base/assets.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { checksumOf } from "../base/sealed.ts";
import type { BundledMigration, Manifest, Migration } from "./manifest.ts";
import { parseManifest } from "./parse-manifest.ts";

/** What the executable says of its bundle. */
export type BundleIndex = {
  readonly manifest: Manifest;
  /** Of the archive, as of base/sealed.ts: it is to notice damage, and no module has to be loaded for it. */
  readonly bundleChecksum: string;
  readonly bundleSizeBytes: number;
  /** Where there is a template database: its checksum, likewise. */
  readonly templateChecksum?: string;
};

export type BundledMigrations = {
  /** In the manifest's order, which is Prisma's. */
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml, where there is one. */
  readonly lockFile: string | undefined;
};

/** `index.json`. The manifest stands in it as text, so that its checksum does not depend on how JSON is printed. */
export type IndexFile = {
  readonly formatVersion: 1;
  readonly manifest: string;
  readonly manifestChecksum: string;
  readonly bundleChecksum: string;
  readonly bundleSizeBytes: number;
  readonly templateChecksum?: string;
};

/** Ten times what the largest Prisma projects hold in schema and migrations, and no burden for a small machine. */
export const MAX_BUNDLE_SIZE_BYTES = 64 * 1024 * 1024;

/** A migration per hour for four years of working days. */
export const MAX_BUNDLE_ENTRIES = 10_000;

/** A migration this long carries data. SQLite itself takes no statement of more than 1 GB. */
export const MAX_FILE_SIZE_BYTES = 16 * 1024 * 1024;

/** Reads the index; undefined where this program carries no bundle. Throws E_BUNDLE where it is damaged. */
export function readIndex(assets: Assets): BundleIndex | undefined {
  const bytes = assets.read("index.json");
  if (bytes === undefined) return undefined;
  const { manifest, manifestChecksum, ...others } = parseIndexFile(bytes);
  if (checksumOf(manifest) !== manifestChecksum)
    throw damaged("the manifest does not have the checksum that the index names");
  const { bundleChecksum, bundleSizeBytes, templateChecksum } = others;
  const digests = { bundleChecksum, bundleSizeBytes, ...(templateChecksum === undefined ? {} : { templateChecksum }) };
  return { manifest: refusing(() => parseManifest(JSON.parse(manifest))), ...digests };
}

/**
 * The template database's file; undefined where there is none. The archive is looked at as well, as far as its digest
 * goes: a start that makes a database is not made with a damaged executable.
 */
export function readTemplate(assets: Assets, index: BundleIndex): Uint8Array | undefined {
  if (index.templateChecksum === undefined) return undefined;
  readVerified(assets, index);
  const bytes = assets.read("template.db");
  if (bytes === undefined) throw damaged("template.db is missing");
  if (checksumOf(bytes) !== index.templateChecksum) {
    throw damaged("template.db does not have the checksum that the index names");
  }
  return bytes;
}

/** Reads the migrations' scripts out of the archive. Throws E_BUNDLE where it isn't what the index promises. */
export async function readMigrations(assets: Assets, index: BundleIndex): Promise<BundledMigrations> {
  const files = await readArchive(readVerified(assets, index));
  const manifest = files.get("manifest.json");
  if (manifest === undefined) throw damaged("it holds no manifest.json");
  if (
    !isDeepStrictEqual(
      refusing(() => parseManifest(JSON.parse(decodeText(manifest)))),
      index.manifest,
    )
  ) {
    throw damaged("its manifest.json is not the manifest of the index");
  }
  const migrations = index.manifest.migrations.map((migration) => findScript(files, migration));
  const expected = new Set(index.manifest.migrations.map(({ name }) => name));
  for (const path of files.keys()) {
    const name = MIGRATION_PATH.exec(path)?.[1];
    if (name !== undefined && !expected.has(name)) throw damaged(`the manifest does not name "${path}"`);
  }
  const lockFile = files.get("migrations/migration_lock.toml");
  return { migrations, lockFile: lockFile && refusing(() => decodeText(lockFile)) };
}

/** The SHA-256 of bytes or of a text's UTF-8, as 64 lower case hex digits. */
export function sha256(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}

/** A path that the archive may hold, other than the ones named in full: both directories are one level deep. */
const MIGRATION_PATH = /^migrations\/([^/\0]+)\/(?:migration\.sql)?$/;
const SCHEMA_PATH = /^schema\/(?:[^/\0]+\/)*[^/\0]+\.prisma$/;
const FIXED_PATHS: ReadonlySet<string> = new Set(["manifest.json", "schema.prisma", "migrations/migration_lock.toml"]);

/** True for a path that a bundle holds. Absolute paths and ones with "." or ".." in them are none. */
export function isBundlePath(path: string): boolean {
  if (path.split("/").some((part) => part === "." || part === "..")) return false;
  return FIXED_PATHS.has(path) || MIGRATION_PATH.test(path) || SCHEMA_PATH.test(path);
}

function parseIndexFile(bytes: Uint8Array): IndexFile {
  const value = refusing((): unknown => JSON.parse(decodeText(bytes)));
  if (
    typeof value === "object" &&
    value !== null &&
    "formatVersion" in value &&
    value.formatVersion === 1 &&
    "manifest" in value &&
    typeof value.manifest === "string" &&
    "manifestChecksum" in value &&
    typeof value.manifestChecksum === "string" &&
    "bundleChecksum" in value &&
    typeof value.bundleChecksum === "string" &&
    "bundleSizeBytes" in value &&
    typeof value.bundleSizeBytes === "number"
  ) {
    const { manifest, manifestChecksum, bundleChecksum, bundleSizeBytes } = value;
    const index = { formatVersion: 1 as const, manifest, manifestChecksum, bundleChecksum, bundleSizeBytes };
    if (!("templateChecksum" in value)) return index;
    if (typeof value.templateChecksum === "string") return { ...index, templateChecksum: value.templateChecksum };
  }
  throw damaged("index.json is not an index of this version of flysqlite");
}

/** The archive's bytes, when they are the ones that the index was made with. */
function readVerified(assets: Assets, { bundleChecksum, bundleSizeBytes }: BundleIndex): Uint8Array {
  const bytes = assets.read("bundle.tar");
  if (bytes === undefined) throw damaged("bundle.tar is missing");
  if (bytes.length !== bundleSizeBytes) {
    throw damaged(`bundle.tar has ${bytes.length} bytes where the index names ${bundleSizeBytes}`);
  }
  if (bytes.length > MAX_BUNDLE_SIZE_BYTES) {
    throw damaged(`bundle.tar has ${bytes.length} bytes, more than ${MAX_BUNDLE_SIZE_BYTES}`);
  }
  if (checksumOf(bytes) !== bundleChecksum) throw damaged("bundle.tar does not have the checksum that the index names");
  return bytes;
}

/** The archive's files by path; directories, which end with "/", have no bytes. */
async function readArchive(bytes: Uint8Array): Promise<ReadonlyMap<string, Uint8Array>> {
  // A bundle begins with its manifest. This also keeps what looks compressed from being unpacked.
  if (!startsWith(bytes, "manifest.json\0")) throw damaged("bundle.tar does not begin with manifest.json");
  const { Parser } = await import("tar/parse");
  const files = new Map<string, Uint8Array>();
  // Strict: a header with a wrong checksum, a truncated entry and the like throw, where they'd be skipped otherwise.
  const parser = new Parser({ strict: true, maxMetaEntrySize: 4096 });
  parser.on("ignoredEntry", (entry: ArchiveEntry) => {
    throw damaged(`it holds "${entry.path}", a ${entry.type}`);
  });
  parser.on("entry", (entry: ArchiveEntry) => {
    checkEntry(entry, files);
    const chunks: Uint8Array[] = [];
    entry.on("data", (chunk) => chunks.push(chunk));
    entry.on("end", () => files.set(entry.path, Buffer.concat(chunks)));
    files.set(entry.path, Buffer.alloc(0));
  });
  refusing(() => parser.end(bufferOf(bytes)));
  return files;
}

/** An entry as the parser gives it. */
type ArchiveEntry = {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly mode?: number;
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "end", listener: () => void): unknown;
};

function checkEntry({ path, type, size, mode = 0 }: ArchiveEntry, files: ReadonlyMap<string, Uint8Array>): void {
  const expectedType = path.endsWith("/") ? "Directory" : "File";
  if (type !== expectedType) throw damaged(`it holds "${path}", a ${type}`);
  if (!isBundlePath(path)) throw damaged(`it holds "${path}", which no bundle has`);
  if ((mode & ~0o777) !== 0) throw damaged(`"${path}" has the mode 0${mode.toString(8)}`);
  if (size > MAX_FILE_SIZE_BYTES) throw damaged(`"${path}" has ${size} bytes, more than ${MAX_FILE_SIZE_BYTES}`);
  if (files.has(path)) throw damaged(`it holds "${path}" twice`);
  if (files.size === MAX_BUNDLE_ENTRIES) throw damaged(`it holds more than ${MAX_BUNDLE_ENTRIES} files`);
}

function findScript(files: ReadonlyMap<string, Uint8Array>, { name, checksum }: BundledMigration): Migration {
  const script = files.get(`migrations/${name}/migration.sql`);
  if (script === undefined) {
    if (files.has(`migrations/${name}/`)) return { name, sql: undefined };
    throw damaged(`it does not hold the migration "${name}"`);
  }
  if (sha256(script) !== checksum) throw damaged(`"${name}" does not have the checksum that the manifest names`);
  return { name, sql: refusing(() => decodeText(script)) };
}

/** Text as it stands: a byte order mark is kept, as the checksum is made of it, and what isn't UTF-8 is refused. */
function decodeText(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw damaged("it holds a text that is not UTF-8");
  return bufferOf(bytes).toString("utf8");
}

/** The same bytes, not a copy. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function startsWith(bytes: Uint8Array, ascii: string): boolean {
  return Buffer.from(ascii).equals(bytes.subarray(0, ascii.length));
}

/** Runs a parser; whatever it throws means that the bundle is damaged. */
function refusing<Result>(parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    throw error instanceof FlysqliteError ? error : damaged(describe(error), error);
  }
}

function damaged(what: string, cause?: unknown): FlysqliteError {
  return new FlysqliteError("E_BUNDLE", `Cannot read the app's bundle in this executable: ${what}`, { cause });
}

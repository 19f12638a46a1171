// The app's bundle, written: what src/prisma/bundle.ts reads. The same project gives the same bytes.

import assert from "node:assert/strict";
import { Header, type HeaderData, Pax } from "tar";
import { FlysqliteError } from "../src/base/errors.ts";
import { checksumOf } from "../src/base/sealed.ts";
import {
  type IndexFile,
  isBundlePath,
  MAX_BUNDLE_ENTRIES,
  MAX_BUNDLE_SIZE_BYTES,
  MAX_FILE_SIZE_BYTES,
} from "../src/prisma/bundle.ts";
import type { Manifest, Migration } from "../src/prisma/manifest.ts";

export type SchemaFile = {
  /** Relative, such as "prisma/schema.prisma". */
  readonly path: string;
  readonly bytes: Uint8Array;
};

export type BundleContent = {
  readonly manifest: Manifest;
  readonly schemaFiles: readonly SchemaFile[];
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml. */
  readonly lockFile: string | undefined;
  /** A database's file with all migrations applied, if a first start is to begin from it. */
  readonly template?: Uint8Array | undefined;
};

/** The assets that a bundle consists of. */
export type PackedBundle = {
  readonly indexJson: Uint8Array;
  readonly bundleTar: Uint8Array;
  readonly template?: Uint8Array | undefined;
};

export function packBundle({ manifest, schemaFiles, migrations, lockFile, template }: BundleContent): PackedBundle {
  const manifestText = JSON.stringify(manifest);
  const files: ArchiveFile[] = [
    ...placeSchema(schemaFiles),
    ...migrations.map(({ name, sql }) =>
      sql === undefined ? { path: `migrations/${name}/` } : textFile(`migrations/${name}/migration.sql`, sql),
    ),
    ...(lockFile === undefined ? [] : [textFile("migrations/migration_lock.toml", lockFile)]),
  ];
  // By code unit: an order that no locale changes. The manifest comes first, which is how a bundle is known.
  files.sort((left, right) => (left.path < right.path ? -1 : 1));
  const bundleTar = writeArchive([textFile("manifest.json", manifestText), ...files]);
  const index: IndexFile = {
    formatVersion: 1,
    manifest: manifestText,
    manifestChecksum: checksumOf(manifestText),
    bundleChecksum: checksumOf(bundleTar),
    bundleSizeBytes: bundleTar.length,
    ...(template === undefined ? {} : { templateChecksum: checksumOf(template) }),
  };
  return { indexJson: Buffer.from(JSON.stringify(index)), bundleTar, template };
}

/** A file of the archive, or without `bytes` a directory. */
type ArchiveFile = { readonly path: string; readonly bytes?: Uint8Array };

function textFile(path: string, text: string): ArchiveFile {
  return { path, bytes: Buffer.from(text) };
}

/** One file is the schema; several are a schema in a directory, whose own place in the app does not matter here. */
function placeSchema(files: readonly SchemaFile[]): readonly ArchiveFile[] {
  const [first, ...others] = files;
  if (first === undefined) return [];
  if (others.length === 0) return [{ path: "schema.prisma", bytes: first.bytes }];
  const paths = files.map(({ path }) => path.split("/"));
  const directories = paths.map((parts) => parts.slice(0, -1));
  const [shortest = []] = directories.toSorted((left, right) => left.length - right.length);
  let shared = 0;
  while (shared < shortest.length && directories.every((parts) => parts[shared] === shortest[shared])) shared++;
  return files.map(({ bytes }, index) => ({
    path: ["schema", ...(paths[index]?.slice(shared) ?? [])].join("/"),
    bytes,
  }));
}

function writeArchive(files: readonly ArchiveFile[]): Uint8Array {
  if (files.length > MAX_BUNDLE_ENTRIES) throw tooLarge(`${files.length} files`, `${MAX_BUNDLE_ENTRIES}`);
  const blocks = files.flatMap(encodeFile);
  blocks.push(Buffer.alloc(2 * BLOCK_SIZE)); // ends an archive
  const archive = Buffer.concat(blocks);
  if (archive.length > MAX_BUNDLE_SIZE_BYTES) throw tooLarge(`${archive.length} bytes`, `${MAX_BUNDLE_SIZE_BYTES}`);
  return archive;
}

const BLOCK_SIZE = 512;

function encodeFile({ path, bytes }: ArchiveFile): readonly Uint8Array[] {
  if (!isBundlePath(path)) {
    throw new FlysqliteError("E_BUILD", `Cannot bundle "${path}": a bundle has no file of that name`);
  }
  const size = bytes?.length ?? 0;
  if (size > MAX_FILE_SIZE_BYTES) throw tooLarge(`"${path}" with ${size} bytes`, `${MAX_FILE_SIZE_BYTES}`);
  const data: HeaderData = {
    path,
    type: bytes === undefined ? "Directory" : "File",
    mode: bytes === undefined ? 0o755 : 0o644,
    size,
    // Nothing of who built it, when and where.
    mtime: new Date(0),
    uid: 0,
    gid: 0,
  };
  const header = new Header(data);
  const needsPax = header.encode();
  assert(header.block !== undefined);
  // A longer or non-ASCII name stands in a header before the header.
  const pax = needsPax ? [new Pax({ path, mtime: new Date(0), uid: 0, gid: 0 }).encode()] : [];
  return [...pax, header.block, ...(bytes === undefined ? [] : [bytes]), Buffer.alloc(-size & (BLOCK_SIZE - 1))];
}

function tooLarge(what: string, limit: string): FlysqliteError {
  return new FlysqliteError("E_BUILD", `Cannot bundle ${what}: the limit is ${limit}`);
}

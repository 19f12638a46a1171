// A manifest, from whatever JSON.parse gave. It throws an Error that names the first field that is wrong; who calls
// knows what the manifest is part of.

import type { BundledMigration, Manifest, UrlRule } from "./manifest.ts";

/** The manifest in `value`. Fields that it does not know are left out. */
export function parseManifest(value: unknown): Manifest {
  const fields = parseObject(value, "the manifest");
  const { formatVersion } = fields;
  if (formatVersion !== 1) throw new Error(`the manifest's formatVersion is ${print(formatVersion)}, not 1`);
  return {
    formatVersion,
    flysqliteVersion: parseText(fields["flysqliteVersion"], "flysqliteVersion"),
    ...optionalText(fields, "appName"),
    prismaMajor: parseInteger(fields["prismaMajor"], "prismaMajor"),
    database: parseUrlRule(fields["database"]),
    migrations: parseMigrations(fields["migrations"]),
    ...optionalText(fields, "seed"),
    ...optionalText(fields, "start"),
  };
}

function parseUrlRule(value: unknown): UrlRule {
  const fields = parseObject(value, "database");
  return {
    ...optionalText(fields, "variable"),
    ...optionalText(fields, "literal"),
    baseDirectory: parseText(fields["baseDirectory"], "database.baseDirectory"),
  };
}

function parseMigrations(value: unknown): readonly BundledMigration[] {
  if (!Array.isArray(value)) throw new Error(`migrations is ${print(value)}, not a list`);
  const migrations = value.map(parseMigration);
  const names = new Set(migrations.map(({ name }) => name));
  if (names.size < migrations.length) throw new Error("migrations has a name twice");
  return migrations;
}

function parseMigration(value: unknown, index: number): BundledMigration {
  const where = `migrations[${index}]`;
  const fields = parseObject(value, where);
  const name = parseText(fields["name"], `${where}.name`);
  if (/[/\0]/.test(name) || name === "" || name === "." || name === "..") {
    throw new Error(`${where}.name is ${print(name)}, which is no directory's name`);
  }
  const checksum = parseText(fields["checksum"], `${where}.checksum`);
  if (!/^[0-9a-f]{64}$/.test(checksum)) throw new Error(`${where}.checksum is ${print(checksum)}, not a SHA-256`);
  return { name, checksum };
}

type Fields = { readonly [name: string]: unknown };

function parseObject(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${name} is ${print(value)}, not an object`);
  }
  return { ...value };
}

function parseText(value: unknown, name: string): string {
  if (typeof value !== "string") throw new Error(`${name} is ${print(value)}, not a text`);
  return value;
}

function parseInteger(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new Error(`${name} is ${print(value)}, not a whole number`);
  }
  return value;
}

/** `{ [name]: text }`, or nothing where the field is absent. */
function optionalText<Name extends string>(fields: Fields, name: Name): { readonly [key in Name]?: string } {
  const value = fields[name];
  if (value === undefined) return {};
  const text: { [key in Name]?: string } = {};
  text[name] = parseText(value, name);
  return text;
}

function print(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}

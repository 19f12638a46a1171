// What a Node binary runs on, read from the binary itself.
// Source: https://refspecs.linuxfoundation.org/elf/elf.pdf, and man 5 elf

import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, FlysqliteError } from "../src/base/errors.ts";

export type Target = {
  readonly architecture: "x64" | "arm64";
  readonly libc: "glibc" | "musl";
};

/** Node's release line that flysqlite is built on; its SQLite, its code cache and its executables' format depend on it. */
export const NODE_MAJOR = 24;

const HOW_TO_GET_NODE = `Take Node ${NODE_MAJOR} for Linux from https://nodejs.org/dist/latest-v${NODE_MAJOR}.x/, or build in an image such as node:${NODE_MAJOR}-slim, and name it with --node`;

export function targetName({ architecture, libc }: Target): string {
  return `linux-${architecture} (${libc})`;
}

/** Reads the target from the head of an ELF file. Throws E_BUILD for anything that Node for Linux is not. */
export function parseTarget(file: Uint8Array): Target {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.byteLength < ELF_HEADER_SIZE || view.getUint32(0) !== ELF_MAGIC) throw refused("it is no ELF executable");
  if (view.getUint8(4) !== CLASS_64 || view.getUint8(5) !== LITTLE_ENDIAN) throw refused("it is not 64-bit x86 or ARM");
  const machine = view.getUint16(18, true);
  const architecture = ARCHITECTURES.get(machine);
  if (architecture === undefined) throw refused(`it is for the ELF machine ${machine}, neither x86-64 nor AArch64`);
  return { architecture, libc: libcOf(readInterpreter(view)) };
}

const ELF_MAGIC = 0x7f454c46;
const ELF_HEADER_SIZE = 64;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const PT_INTERP = 3;
const ARCHITECTURES: ReadonlyMap<number, Target["architecture"]> = new Map([
  [62, "x64"],
  [183, "arm64"],
]);

/** Path of the dynamic loader: the one place where an executable says which C library it was linked with. */
function readInterpreter(view: DataView): string {
  const tableOffset = Number(view.getBigUint64(32, true));
  const entrySize = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  for (let index = 0; index < count; index++) {
    const offset = tableOffset + index * entrySize;
    if (offset + 56 > view.byteLength) break;
    if (view.getUint32(offset, true) !== PT_INTERP) continue;
    const start = Number(view.getBigUint64(offset + 8, true));
    const size = Number(view.getBigUint64(offset + 32, true));
    if (start + size > view.byteLength) break;
    return Buffer.from(view.buffer, view.byteOffset + start, size)
      .toString("latin1")
      .replace(/\0.*$/s, "");
  }
  throw refused("it names no dynamic loader");
}

function libcOf(interpreter: string): Target["libc"] {
  if (/\/ld-musl-[^/]*\.so/.test(interpreter)) return "musl";
  if (/\/ld-linux[^/]*\.so/.test(interpreter)) return "glibc";
  throw refused(`its dynamic loader "${interpreter}" is of neither glibc nor musl`);
}

function refused(why: string): FlysqliteError {
  return new FlysqliteError("E_BUILD", `Cannot build on this Node: ${why}`, { hint: HOW_TO_GET_NODE });
}

/** What was found out about a Node binary. */
export type NodeBinary = { readonly path: string; readonly version: string; readonly target: Target };

/** The loader's name stands within the first pages of every linker's output. */
const HEAD_SIZE = 64 * 1024;

/** Finds out what the Node at `path` is for, and that it is one to build on. Throws E_BUILD where it isn't. */
export async function inspectNode(path: string): Promise<NodeBinary> {
  const target = parseTarget(await readHead(path));
  const version = await readNodeVersion(path);
  if (!version.startsWith(`v${NODE_MAJOR}.`)) {
    throw refused(`"${path}" is ${version}, and flysqlite needs v${NODE_MAJOR}`);
  }
  return { path, version, target };
}

async function readHead(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_SIZE), 0, HEAD_SIZE, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw new FlysqliteError("E_BUILD", `Cannot read the Node to build on: ${describe(error)}`, {
      cause: error,
      hint: HOW_TO_GET_NODE,
    });
  }
}

async function readNodeVersion(path: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"], { timeout: 10_000, env: {} });
    return stdout.trim();
  } catch (error) {
    throw refused(`"${path}" does not run here, where the executable's code cache must be made: ${describe(error)}`);
  }
}

/** Path of the better-sqlite3 addon for a target, in the installed package. */
export function addonPath({ architecture, libc }: Target): string {
  const packageDirectory = dirname(createRequire(import.meta.filename).resolve("better-sqlite3/package.json"));
  const name = `${libc === "musl" ? "linuxmusl" : "linux"}-${architecture}.node`;
  return join(packageDirectory, "prebuilds", name);
}

/** Path of the koffi addon for a target, in the package of that architecture, which koffi asks npm to install. */
export function koffiPath({ architecture, libc }: Target): string {
  const koffi = createRequire(import.meta.filename).resolve("koffi");
  const packageFile = createRequire(koffi).resolve(`@koromix/koffi-linux-${architecture}/package.json`);
  return join(dirname(packageFile), `${libc === "musl" ? "musl" : "linux"}_${architecture}`, "koffi.node");
}

// File calls that answer with promises, for what every start does. node:fs/promises has these and more, and takes two
// to three milliseconds to load.

import * as fs from "node:fs";
import { promisify } from "node:util";
import { systemCode } from "./errors.ts";

/** The only one that answers at once. From here, so that one import says where a module keeps its files. */
export const { readFileSync } = fs;

export const copyFile = promisify(fs.copyFile);
export const link = promisify(fs.link);
export const lstat = promisify(fs.lstat);
export const mkdir = promisify(fs.mkdir);
export const readdir = promisify(fs.readdir);
export const rename = promisify(fs.rename);
export const stat = promisify(fs.stat);
export const statfs = promisify(fs.statfs);
export const utimes = promisify(fs.utimes);
export const writeFile = promisify(fs.writeFile);

const openDescriptor = promisify(fs.open);
const readFile = promisify(fs.readFile);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const read = promisify(fs.read);
const unlink = promisify(fs.unlink);

/** Removes a file; absent is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}

/** An open file. It is closed when it is disposed of, and at no other time. */
export class OpenFile implements AsyncDisposable {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  stat(): Promise<fs.BigIntStats> {
    return fstat(this.#descriptor, { bigint: true });
  }

  /** Fills `bytes` from `position` on, or begins to; gives how many bytes there were, 0 at the end of the file. */
  async read(bytes: Uint8Array, position: number): Promise<number> {
    return (await read(this.#descriptor, bytes, 0, bytes.byteLength, position)).bytesRead;
  }

  /** From the current position, which is the start of a file that was just opened, to the end. */
  async readAll(): Promise<Buffer> {
    return await readFile(this.#descriptor);
  }

  /** Writes all of it where the last write ended. */
  async write(content: string | Uint8Array): Promise<void> {
    await writeFile(this.#descriptor, content);
  }

  async sync(): Promise<void> {
    await fsync(this.#descriptor);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#descriptor);
  }
}

/** Opens a file as open(2) does: for reading, if nothing else is said. */
export async function open(path: string, flags = "r", mode = 0o600): Promise<OpenFile> {
  return new OpenFile(await openDescriptor(path, flags, mode));
}

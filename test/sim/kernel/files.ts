// Stands in for base/files.ts where the product keeps its own small files, base/durable-file.ts and replica/state.ts,
// and for node:fs/promises where it removes them, steps/note-restored.ts.

import { processes } from "../life.ts";
import { noSuchFile } from "../volume.ts";
import { called, isSimulated, kernel } from "./kernel.ts";

async function forWriting() {
  const found = await called();
  const failure = found.writeFailure();
  if (failure !== undefined) throw failure;
  return found;
}

export async function mkdir(): Promise<void> {
  await called();
}

export function readFileSync(path: string): string {
  processes.getStore()?.live();
  const bytes = kernel().volume.read(path);
  if (bytes === undefined) throw noSuchFile(path);
  return Buffer.from(bytes).toString("utf8");
}

export async function writeFile(path: string, text: string): Promise<void> {
  const { volume } = await forWriting();
  volume.write(path, Buffer.from(text));
}

export async function rename(from: string, to: string): Promise<void> {
  const { volume } = await forWriting();
  volume.rename(from, to);
}

export async function removeFile(path: string): Promise<void> {
  const { volume } = await called();
  volume.remove(path);
}

export async function rm(path: string): Promise<void> {
  await removeFile(path);
  const { volume } = kernel();
  for (const file of volume.list(path)) volume.remove(file.path);
}

/** A file to be written, or a directory to be synced. */
export async function open(path: string, flags?: string) {
  if (flags === "w") (await forWriting()).volume.write(path, new Uint8Array(0));
  return {
    write: (text: string) => writeFile(path, text),
    async sync(): Promise<void> {
      if (flags === undefined && !isSimulated(path)) return; // where a restore puts the database
      const { volume } = await forWriting();
      if (flags === "w") volume.sync(path);
      else volume.syncDirectory(path);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      kernel();
    },
  };
}

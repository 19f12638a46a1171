// Stands in for node:fs/promises in replica/newest.ts, which reads the head of a staged file on the simulated volume.

import { noSuchFile } from "../volume.ts";
import { called } from "./kernel.ts";

export async function open(path: string) {
  const { volume } = await called();
  const content = volume.read(path);
  if (content === undefined) throw noSuchFile(path);
  return {
    async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
      await called();
      const part = content.subarray(position, position + length);
      buffer.set(part, offset);
      return { bytesRead: part.byteLength };
    },
    async [Symbol.asyncDispose](): Promise<void> {},
  };
}

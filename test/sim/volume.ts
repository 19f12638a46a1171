// The files of the state directory, in memory, with what a power cut may leave of them: a name keeps the last content
// that was made durable under it, or any that it had since; and what was never synced may be there in part.

import { dirname } from "node:path";
import type { Random } from "../../src/base/context.ts";

type Content = { bytes: Uint8Array; modifiedMs: number; isSynced: boolean };

/** All that a name may lead to after a power cut, the present last; undefined where it may be absent. */
type Name = { past: (Content | undefined)[] };

export type Volume = ReturnType<typeof createVolume>;

export function createVolume() {
  const names = new Map<string, Name>();
  const now = (path: string): Content | undefined => names.get(path)?.past.at(-1);

  function point(path: string, content: Content | undefined): void {
    const name = names.get(path);
    if (name === undefined) names.set(path, { past: [undefined, content] });
    else name.past.push(content);
  }

  return {
    read: (path: string): Uint8Array | undefined => now(path)?.bytes,

    /** Paths, sizes and times of all files below a directory. */
    list: (
      directory: string,
    ): readonly { readonly path: string; readonly sizeBytes: number; readonly modifiedMs: number }[] =>
      [...names.keys()]
        .filter((path) => path.startsWith(`${directory}/`))
        .flatMap((path) => {
          const content = now(path);
          return content ? [{ path, sizeBytes: content.bytes.byteLength, modifiedMs: content.modifiedMs }] : [];
        }),

    write(path: string, bytes: Uint8Array, { modifiedMs = 0 }: { readonly modifiedMs?: number } = {}): void {
      point(path, { bytes, modifiedMs, isSynced: false });
    },

    rename(from: string, to: string): void {
      const content = now(from);
      if (content === undefined) throw noSuchFile(from);
      point(to, content);
      point(from, undefined);
    },

    remove(path: string): void {
      if (now(path) !== undefined) point(path, undefined);
    },

    sync(path: string): void {
      const content = now(path);
      if (content !== undefined) content.isSynced = true;
    },

    syncDirectory(directory: string): void {
      for (const [path, name] of names) if (dirname(path) === directory) name.past = name.past.slice(-1);
    },

    /** What stands there after a power cut is one of the things that may, each name for itself. */
    losePower(random: Random): void {
      for (const name of names.values()) {
        // As often as not it is what it was.
        const at = random.unit() < 0.5 ? name.past.length - 1 : Math.floor(random.unit() * name.past.length);
        const content = name.past[at];
        name.past = [
          content && {
            ...content,
            bytes: content.isSynced ? content.bytes : tear(content.bytes, random),
            isSynced: true,
          },
        ];
      }
    },

    clear: (): void => names.clear(),
  };
}

export function noSuchFile(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file, "${path}"`), { code: "ENOENT" });
}

/** What may be left of bytes that were on their way to the disk. */
function tear(bytes: Uint8Array, random: Random): Uint8Array {
  const kind = random.unit();
  if (kind < 0.5) return bytes;
  const length = kind < 0.6 ? 0 : Math.floor(random.unit() * bytes.byteLength);
  if (kind < 0.8) return bytes.slice(0, length);
  const zeroed = bytes.slice(); // its size reached the disk, and the rest of it did not
  zeroed.fill(0, length);
  return zeroed;
}

// A `node` in PATH where the image has none: a link by that name to this executable, which is a whole Node.

import { accessSync, constants, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Launch } from "../base/messages.ts";
import { OPTIONS_WORD, optionsWith } from "./node-words.ts";

export type ProvidedNode = Disposable & { readonly directory: string };

/** True where one of PATH's directories has an executable of that name. */
export function isInPath(name: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A directory of our own with the link in it, in the first of `directories` that can be written to. It needs no exec. */
export function provideNode(executable: string, directories: readonly string[]): ProvidedNode | undefined {
  for (const parent of directories) {
    try {
      const directory = mkdtempSync(join(parent, "flysqlite-node-"));
      symlinkSync(executable, join(directory, "node"));
      return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
    } catch {
      // the next one
    }
  }
  return undefined;
}

/** A launch of the provided Node starts it with its options at once, where it would start itself once more for them. */
export function startAtOnce(launch: Launch, { directory }: ProvidedNode): Launch {
  if (launch.file !== join(directory, "node")) return launch;
  const word = `${OPTIONS_WORD}${optionsWith(launch.environment["NODE_OPTIONS"], launch.arguments)}`;
  return { ...launch, arguments: [word, ...launch.arguments] };
}

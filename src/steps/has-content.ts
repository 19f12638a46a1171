// Whether there is something in a file.

import { statSync } from "node:fs";

/** False also where there is no file. */
export function hasContent(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

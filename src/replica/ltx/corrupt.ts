// The one failure of reading LTX files.

import { FlysqliteError } from "../../base/errors.ts";

/** Says which file is not sound, what is wrong, and at which byte from the start of the file. */
export function corrupt(place: { readonly key: string; readonly offset: number }, problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${place.key}": ${problem}, at byte ${place.offset}`);
}

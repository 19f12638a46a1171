// How often in a row the same migrations were cut off: by a kill, a crash, memory that ran out. Twice may be chance; a
// start that is cut off there each time must not go on for ever.

import { join } from "node:path";
import { readIfPresent, removeDurably, writeDurably } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import type { Migration } from "../prisma/manifest.ts";
import { checksum } from "../prisma/migrations.ts";
import { stateDirectory } from "./places.ts";

/** After this many a start refuses. */
const MAX_INTERRUPTIONS = 2;

/** `digest` stands for the migrations, as `digestOf` gives it: with another script it is another one. */
type Interruptions = { readonly digest: string; readonly count: number };

export function digestOf(migrations: readonly Migration[]): string {
  return checksum(JSON.stringify(migrations.map(({ name, sql }) => [name, sql])));
}

function place(databasePath: string): string {
  return join(stateDirectory(databasePath), "interruptions.json");
}

export async function countInterruption(databasePath: string, digest: string): Promise<void> {
  const known = readInterruptions(databasePath);
  const count = known?.digest === digest ? known.count + 1 : 1;
  await writeDurably(place(databasePath), `${JSON.stringify({ digest, count })}\n`);
}

export async function forgetInterruptions(databasePath: string): Promise<void> {
  await removeDurably(place(databasePath));
}

/** Throws E_MIGRATE where the same migrations were cut off too often. */
export async function refuseAfterInterruptions(
  databasePath: string,
  { digest, names }: { readonly digest: string; readonly names: readonly string[] },
): Promise<void> {
  const known = readInterruptions(databasePath);
  if (known?.digest !== digest || known.count < MAX_INTERRUPTIONS) return;
  throw new FlysqliteError(
    "E_MIGRATE",
    `Cannot migrate: ${names.join(", ")} was begun ${known.count} times and cut off each time, by a kill, a crash or for want of memory`,
    {
      problems: [`"${databasePath}" is as it was before`],
      hint: "Give the machine more memory or time, then try again by `flysqlite migrate`; the release before runs on this database",
    },
  );
}

/** What can't be read is taken for nothing: it only says how often to try. */
function readInterruptions(databasePath: string): Interruptions | undefined {
  const text = readIfPresent(place(databasePath));
  if (text === undefined) return undefined;
  try {
    const { digest, count }: Partial<Interruptions> = JSON.parse(text);
    return typeof digest === "string" && typeof count === "number" ? { digest, count } : undefined;
  } catch {
    return undefined;
  }
}

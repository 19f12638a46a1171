// How the app comes to open the database on the volume: by itself, through a variable, or through a link. Pure.

import { FlysqliteError } from "../base/errors.ts";
import type { Facts } from "./facts.ts";

export type Placement =
  /** The url leads there already. */
  | { readonly kind: "direct" }
  /** The app is told the absolute url in the variable that it reads. */
  | { readonly kind: "variable"; readonly name: string; readonly url: string }
  | {
      readonly kind: "link";
      /** Where the link stands or is put. */
      readonly from: string;
      readonly to: string;
      /** What has to be done first with what stands at `from`. */
      readonly before:
        | "nothing"
        | "already linked"
        | "replace an empty file"
        | "replace a copy"
        | "move the file to the volume";
    };

export type PlacementFacts = Pick<Facts, "url" | "entry" | "canLink"> & {
  readonly database: Pick<Facts["database"], "path" | "state">;
  /** True where the replica holds a history to restore. */
  readonly replicaHasHistory: boolean;
};

/** Decides, or throws E_LINK where two files could each be the database. */
export function decidePlacement({ url, entry, canLink, database, replicaHasHistory }: PlacementFacts): Placement {
  if (entry === "on the volume") return { kind: "direct" };
  if (url.variable !== undefined) return { kind: "variable", name: url.variable, url: `file:${database.path}` };

  const link = { kind: "link", from: url.path, to: database.path } as const;
  if (entry.kind === "link") {
    if (entry.target === database.path) return { ...link, before: "already linked" };
    throw refuse(url.path, `it is a link to "${entry.target}", and the database is "${database.path}"`);
  }
  if (!canLink) {
    throw new FlysqliteError(
      "E_LINK",
      `Cannot link "${url.path}" to the volume: its directory is read-only, and ${url.source} gives the url literally`,
      {
        hint: 'Let the schema read the url from a variable, such as env("DATABASE_URL"): the app is then told the path',
      },
    );
  }
  if (entry.kind === "nothing") return { ...link, before: "nothing" };
  if (entry.kind !== "file") {
    throw refuse(url.path, entry.kind === "other" ? "it is not a regular file" : `it is a ${entry.kind}`);
  }
  if (entry.sizeBytes === 0) return { ...link, before: "replace an empty file" };
  if (entry.sameAsDatabase) return { ...link, before: "replace a copy" };
  if (database.state === "present") throw refuse(url.path, `both it and "${database.path}" hold a database`);
  if (replicaHasHistory) throw refuse(url.path, "it holds a database, and the replica holds another one to restore");
  return { ...link, before: "move the file to the volume" };
}

function refuse(path: string, why: string): FlysqliteError {
  return new FlysqliteError("E_LINK", `Cannot link "${path}" to the volume: ${why}`);
}

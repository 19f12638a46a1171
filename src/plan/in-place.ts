// Whether a database can be replicated where it is, beside an app that somebody else starts. Pure.
// The app may write at any moment: nothing is put in its place, and nothing is moved.

import { FlysqliteError } from "../base/errors.ts";
import { type CopyDecision, type CopyFacts, decideCopy } from "./copy.ts";

export type InPlaceDecision =
  | { readonly kind: "attach"; readonly copy: Extract<CopyDecision, { kind: "keep" }> }
  /** There is no database yet, and there never was one: the app makes it. */
  | { readonly kind: "wait" };

/** Decides by the rules of a start, or throws where no copy can be told to be the right one. */
export function decideInPlace(facts: CopyFacts): InPlaceDecision {
  const { database, replica } = facts;
  if (facts.unborn) {
    throw new FlysqliteError("E_DB_INVALID", `Cannot replicate "${database.path}": it is only half made`, {
      hint: "Its migrations or its seed did not end; start the app with `flysqlite run`, which makes it anew",
    });
  }
  const copy = decideCopy(facts);
  if (copy.kind === "keep") return { kind: "attach", copy };
  if (copy.kind === "create") return { kind: "wait" };
  throw new FlysqliteError(
    "E_DIVERGED",
    `Cannot replicate "${database.path}": it is not there, and "${replica?.address}" holds its history`,
    {
      hint: `Stop the app, bring the database back with \`flysqlite restore -o ${database.path}\`, then start again; or name another replica`,
    },
  );
}

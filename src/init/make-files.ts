// From facts to files: what `init` would write, and what it leaves to a person. Pure.

import { DEFAULT_VOLUME } from "../config/volume.ts";
import { makeDockerfile } from "./dockerfile.ts";
import { editDockerignore, listIgnoredNeeds } from "./dockerignore.ts";
import { describeLeftOut, type EditedDockerfile, editDockerfile } from "./edit-dockerfile.ts";
import type { ProjectFacts } from "./facts.ts";
import { editFlyToml, flyDockerfile, flyEnvironment, flyVolume, makeFlyToml } from "./fly-toml.ts";
import { makeLitestreamYml } from "./litestream-yml.ts";

export type FileChange = {
  /** From the app's directory. */
  readonly path: string;
  /** Undefined for a file that isn't there. */
  readonly before: string | undefined;
  readonly after: string;
};

export type Plan = {
  /** All files that init cares for, also those that stay as they are. */
  readonly files: readonly FileChange[];
  /** Files that are left alone, with what has to be put into them by hand. */
  readonly byHand: readonly {
    readonly path: string;
    readonly why: string;
    readonly lines: readonly string[];
    /** --force would make it anew. */
    readonly canForce: boolean;
  }[];
  /** Sentences that their reader has to act on. */
  readonly notes: readonly string[];
};

export type MakeOptions = {
  /** Make Dockerfile and litestream.yml anew where they exist. */
  readonly force: boolean;
  readonly litestreamYml: boolean;
};

/** `texts`: the files that are there, by path from the app's directory. */
export function makeFiles(
  facts: ProjectFacts,
  texts: ReadonlyMap<string, string>,
  { force, litestreamYml }: MakeOptions,
): Plan {
  const fly = texts.get("fly.toml");
  const volume = flyVolume(fly ?? "") ?? DEFAULT_VOLUME;
  const files: FileChange[] = [];
  const byHand: Plan["byHand"][number][] = [];
  const notes = [...facts.notes];
  const add = (path: string, after: string) => void files.push({ path, before: texts.get(path), after });

  const dockerfile = flyDockerfile(fly ?? "");
  const made = dockerfileOf(facts, texts.get(dockerfile), {
    force,
    volume,
    litestreamYml: litestreamYml || texts.has("litestream.yml"),
    set: new Set(flyEnvironment(fly ?? "").keys()),
  });
  if (made.kind === "edited") {
    add(dockerfile, made.text);
    notes.push(...made.notes);
  } else {
    byHand.push({ path: dockerfile, why: made.why, lines: made.lines, canForce: facts.lockFileAbove === undefined });
  }

  const ignore = editDockerignore(texts.get(".dockerignore"), facts);
  add(".dockerignore", ignore);
  const missed = listIgnoredNeeds(ignore, facts);
  if (missed.length > 0) notes.push(`.dockerignore keeps from the build what it needs: ${missed.join(", ")}`);

  const toml = fly === undefined ? { text: makeFlyToml(facts), notes: [] } : editFlyToml(fly);
  add("fly.toml", toml.text);
  notes.push(...toml.notes);

  if (litestreamYml && (texts.get("litestream.yml") === undefined || force)) {
    add("litestream.yml", makeLitestreamYml(facts, { volume }));
  }
  return { files, byHand, notes };
}

function dockerfileOf(
  facts: ProjectFacts,
  text: string | undefined,
  { force, volume, litestreamYml, set }: MakeOptions & { readonly volume: string; readonly set: ReadonlySet<string> },
): EditedDockerfile {
  if (text !== undefined && !force) return editDockerfile(text, facts, { volume, set });
  const fresh = makeDockerfile(facts, { volume, litestreamYml });
  const { leftOut } = facts.framework;
  if (facts.lockFileAbove === undefined) {
    return { kind: "edited", text: fresh, notes: leftOut === undefined ? [] : [describeLeftOut(leftOut)] };
  }
  return {
    kind: "left alone",
    why: `the lock file is in ${facts.lockFileAbove}: an image of a workspace is built from there`,
    lines: fresh.trimEnd().split("\n"),
  };
}

/** Those of a plan that are not as they should be yet. */
export function changesOf({ files }: Plan): readonly FileChange[] {
  return files.filter(({ before, after }) => before !== after);
}

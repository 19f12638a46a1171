// A Dockerfile as instructions that know their lines, so that lines can be put between them and all others stay as
// they are. Pure.
// Source: https://docs.docker.com/reference/dockerfile/

export type Instruction = {
  /** In capitals: "RUN". */
  readonly keyword: string;
  /** What follows it, continued lines joined by a blank, without comments and without the body of a heredoc. */
  readonly value: string;
  /** Index of its first line, and of the line after its last one. */
  readonly start: number;
  readonly end: number;
};

export type Stage = {
  /** As it is written after FROM, with the defaults of ARG put in. */
  readonly image: string;
  /** In lower case, as Docker compares it. */
  readonly name?: string;
  readonly index: number;
  /** Those after its FROM. */
  readonly instructions: readonly Instruction[];
  readonly from: Instruction;
};

export type Dockerfile = {
  readonly lines: readonly string[];
  readonly instructions: readonly Instruction[];
  readonly stages: readonly Stage[];
  /** Set where lines are continued by another sign than the backslash, which no editing is tried on. */
  readonly hasOtherEscape: boolean;
};

export function splitDockerfile(text: string): Dockerfile {
  const lines = text.split(/\r?\n/);
  const instructions = readInstructions(lines);
  const hasOtherEscape = /^(?:#[^\n]*\n)*#\s*escape\s*=\s*`/i.test(text);
  return { lines, instructions, stages: readStages(instructions), hasOtherEscape };
}

function readInstructions(lines: readonly string[]): readonly Instruction[] {
  const instructions: Instruction[] = [];
  const isComment = (line: string) => /^\s*#/.test(line);
  let at = 0;
  while (at < lines.length) {
    const start = at;
    const head = /^\s*([a-z]+)(?:\s+(.*))?$/i.exec(lines[at] ?? "");
    at++;
    if (head === null) continue;
    const [, keyword = "", first = ""] = head;
    const parts = [first];
    while (/\\\s*$/.test(parts.at(-1) ?? "") && at < lines.length) {
      parts.push(parts.pop()?.replace(/\\\s*$/, "") ?? "");
      // Comments and empty lines within an instruction are passed over, and don't end it.
      while (at < lines.length && (isComment(lines[at] ?? "") || lines[at]?.trim() === "")) at++;
      if (at < lines.length) parts.push(lines[at++] ?? "");
    }
    const value = parts
      .map((part) => part.trim())
      .join(" ")
      .trim();
    if (/^(?:RUN|COPY|ADD)$/i.test(keyword)) {
      for (const [, dash = "", word = ""] of value.matchAll(/<<(-?)["']?(\w+)["']?/g)) {
        const isEnd = (line: string) => (dash === "" ? line : line.replace(/^\t+/, "")) === word;
        while (at < lines.length && !isEnd(lines[at] ?? "")) at++;
        at++;
      }
    }
    instructions.push({ keyword: keyword.toUpperCase(), value, start, end: Math.min(at, lines.length) });
  }
  return instructions;
}

function readStages(instructions: readonly Instruction[]): readonly Stage[] {
  const defaults = new Map<string, string>();
  const stages: Stage[] = [];
  for (const [index, from] of instructions.entries()) {
    if (stages.length === 0 && from.keyword === "ARG") {
      for (const [, name = "", value = ""] of from.value.matchAll(/(\w+)=("[^"]*"|'[^']*'|\S*)/g)) {
        defaults.set(name, unquote(value));
      }
    }
    if (from.keyword !== "FROM") continue;
    const [image = "", as = "", name] = from.value.split(/\s+/).filter((word) => !word.startsWith("--"));
    const rest = instructions.slice(index + 1);
    const next = rest.findIndex(({ keyword }) => keyword === "FROM");
    stages.push({
      image: image.replace(/\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))/g, (_, braced, fallback, bare) => {
        return defaults.get(braced ?? bare) ?? fallback ?? "";
      }),
      ...(as.toLowerCase() === "as" && name !== undefined ? { name: name.toLowerCase() } : {}),
      index: stages.length,
      instructions: next === -1 ? rest : rest.slice(0, next),
      from,
    });
  }
  return stages;
}

/** A stage and those that it is built on, nearest first. */
export function withBases(stage: Stage, stages: readonly Stage[]): readonly Stage[] {
  const base = stages.slice(0, stage.index).findLast(({ name }) => name === stage.image.toLowerCase());
  return base === undefined ? [stage] : [stage, ...withBases(base, stages)];
}

/** The words of an instruction in exec form, `["node", "server.js"]`; undefined for the shell's. */
export function execWords(value: string): readonly string[] | undefined {
  if (!value.startsWith("[")) return undefined;
  try {
    const words: unknown = JSON.parse(value);
    return Array.isArray(words) && words.every((word) => typeof word === "string") ? words : undefined;
  } catch {
    return undefined; // Docker takes what is no JSON as the shell's
  }
}

/** Writes words in exec form. */
export function execForm(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(", ")}]`;
}

/** What ENV sets, of all of these instructions; the last one counts. */
export function dockerEnvironment(instructions: readonly Instruction[]): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const { keyword, value } of instructions) {
    if (keyword !== "ENV") continue;
    const [, old, text] = /^(\w+)\s+([^=].*)$/.exec(value) ?? [];
    if (old !== undefined && text !== undefined && !/^\w+=/.test(value)) variables.set(old, unquote(text));
    else
      for (const [, name = "", word = ""] of value.matchAll(/(\w+)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)/g)) {
        variables.set(name, unquote(word));
      }
  }
  return variables;
}

function unquote(text: string): string {
  return /^(["']).*\1$/s.test(text) ? text.slice(1, -1) : text;
}

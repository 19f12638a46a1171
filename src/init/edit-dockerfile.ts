// The few lines that a Dockerfile needs for flysqlite, put into one that exists. Nothing else is touched; where it can't
// be told what the lines would do there, they are given to a person. Pure.

import { posix } from "node:path";
import {
  BUILT,
  buildCommand,
  buildInstruction,
  generateCommand,
  IMAGE_USER,
  INSTALLED,
  SYSTEM,
  urlVariable,
  volumeVariable,
} from "./dockerfile.ts";
import {
  type Dockerfile,
  dockerEnvironment,
  execForm,
  execWords,
  type Instruction,
  type Stage,
  splitDockerfile,
  withBases,
} from "./dockerfile-lines.ts";
import type { LeftOut, ProjectFacts } from "./facts.ts";
import { applyEdits, type LineEdit } from "./text-lines.ts";

export type EditedDockerfile =
  | { readonly kind: "edited"; readonly text: string; readonly notes: readonly string[] }
  /** `lines`: what a person has to put there. */
  | { readonly kind: "left alone"; readonly why: string; readonly lines: readonly string[] };

type Surroundings = {
  readonly volume: string;
  /** Variables that the platform sets. */
  readonly set: ReadonlySet<string>;
};

/** Programs that are PID 1 only to do what flysqlite does itself; what follows them is the app. */
const INITS = new Set(["tini", "dumb-init", "docker-init", "docker-entrypoint.sh", "catatonit"]);

/** Entrypoints that fly-apps' generators write, which link, migrate and start litestream. */
const GENERATED = new Set(["docker-entrypoint.js", "docker-entrypoint", "dbsetup.js"]);

const PRUNES = /\b(?:npm prune|pnpm prune|--omit[= ]dev|--production(?!=false)|--prod(?!=false)\b|workspaces focus)/;

/** Comment over the lines that are put in. */
const MARK = "# flysqlite: `npx flysqlite init` added these lines.";

export function editDockerfile(text: string, facts: ProjectFacts, surroundings: Surroundings): EditedDockerfile {
  const file = splitDockerfile(text);
  const final = file.stages.at(-1);
  const refuse = (why: string): EditedDockerfile => ({
    kind: "left alone",
    why,
    lines: adviseLines(facts, surroundings),
  });
  if (final === undefined) return refuse("it has no FROM");
  const starts = withBases(final, file.stages).flatMap(({ instructions }) => instructions.filter(isStart));
  if (starts.some(({ value }) => /\bflysqlite\b/.test(value))) {
    return { kind: "edited", text, notes: [...noteTwice(final, facts), ...noteStarts(file, final)] };
  }
  if (file.hasOtherEscape) return refuse("its lines are continued by another sign than the backslash");
  if (starts.some(({ value }) => /\blitestream\b/.test(value))) {
    return refuse("litestream starts the app; give flysqlite the app's own command");
  }

  const build = file.stages.findLast(({ instructions }) => instructions.some(isWholeProject));
  if (build === undefined) return refuse("no stage of it has the whole project (`COPY . .`)");
  const problem = checkStages(file, { build, final });
  if (problem !== undefined) return refuse(problem);
  const entry = readEntrypoint(final, file.stages);
  if (entry === undefined) return refuse("its ENTRYPOINT is a command for a shell, which gets no arguments");

  // In a stage that the image is made of, it is made where it is to be.
  const out = withBases(final, file.stages).includes(build) ? INSTALLED : BUILT;
  const parts = [
    editBuild(file, { build, final, facts, out }),
    editFinal(file, { build, final, entry, facts, surroundings }),
  ];
  const edited = applyEdits(
    text,
    parts.flatMap(({ edits }) => edits),
  );
  return { kind: "edited", text: edited, notes: [...parts.flatMap(({ notes }) => notes), ...noteStarts(file, final)] };
}

const isStart = ({ keyword }: Instruction) => keyword === "ENTRYPOINT" || keyword === "CMD";

/** COPY of all of the build's context to where the stage works. */
function isWholeProject({ keyword, value }: Instruction): boolean {
  return (keyword === "COPY" || keyword === "ADD") && !/--from=/.test(value) && /^(?:--\S+ )*\.\/? \S+$/.test(value);
}

/** Why the executable can't be made in one stage and used in the other; undefined where it can. */
function checkStages(
  { stages }: Dockerfile,
  { build, final }: { readonly build: Stage; readonly final: Stage },
): string | undefined {
  const all = withBases(build, stages).toReversed();
  const instructions = all.flatMap((stage) => stage.instructions);
  const directory = instructions.filter(({ keyword }) => keyword === "WORKDIR").at(-1)?.value ?? "/";
  const to = instructions.findLast(isWholeProject)?.value.split(" ").at(-1) ?? "";
  if (posix.resolve("/", directory) !== posix.resolve("/", directory, to)) {
    return `the project is copied to "${to}", and the stage works in "${directory}"`;
  }
  const user = instructions.filter(({ keyword }) => keyword === "USER").at(-1)?.value;
  if (user !== undefined && !/^(?:root|0)(?::|$)/.test(user)) return `the project is built as the user "${user}"`;
  const [made, used] = [imageOf(build, stages), imageOf(final, stages)];
  if (used === "scratch" || /\bdistroless\/(?:static|base)/.test(used)) return `"${used}" has no C++ library`;
  if (isMusl(made) !== isMusl(used)) return `"${made}" and "${used}" have different C libraries`;
  return undefined;
}

const imageOf = (stage: Stage, stages: readonly Stage[]) => withBases(stage, stages).at(-1)?.image ?? "";
const isMusl = (image: string) => /alpine/.test(image);

type Edits = { readonly edits: readonly LineEdit[]; readonly notes: readonly string[] };

type Entry = {
  /** The instruction to put ours in the place of. */
  readonly instruction?: Instruction;
  /** Words of it that go on to be run, by flysqlite. */
  readonly rest: readonly string[];
};

function readEntrypoint(final: Stage, stages: readonly Stage[]): Entry | undefined {
  const own = final.instructions.findLast(({ keyword }) => keyword === "ENTRYPOINT");
  const inherited = withBases(final, stages)
    .flatMap(({ instructions }) => instructions.toReversed())
    .find(({ keyword }) => keyword === "ENTRYPOINT");
  const instruction = own ?? inherited;
  if (instruction === undefined) return { rest: [] };
  const words = execWords(instruction.value);
  if (words === undefined) return undefined;
  return { ...(own === undefined ? {} : { instruction: own }), rest: withoutInits(words) };
}

function withoutInits(words: readonly string[]): readonly string[] {
  const [program = "", ...rest] = words;
  const name = posix.basename(program);
  if (GENERATED.has(name)) return [];
  if (name === "node" && GENERATED.has(posix.basename(rest[0] ?? ""))) return rest.slice(1);
  if (!INITS.has(name)) return words;
  const dashes = rest.indexOf("--");
  return withoutInits(dashes >= 0 ? rest.slice(dashes + 1) : rest.filter((word) => !word.startsWith("-")));
}

/** Makes the executable right after the app is built, and before the development dependencies are gone. */
function editBuild(
  { stages, instructions }: Dockerfile,
  {
    build,
    final,
    facts,
    out,
  }: { readonly build: Stage; readonly final: Stage; readonly facts: ProjectFacts; readonly out: string },
): Edits {
  const from = build.instructions.findIndex(isWholeProject);
  const after = build.instructions.slice(from);
  const prune = after.find(({ keyword, value }) => keyword === "RUN" && PRUNES.test(value));
  const last = after.findLast(
    ({ keyword, value }) => (keyword === "RUN" || keyword === "COPY") && !/--from=/.test(value),
  );
  const image = imageOf(build, stages);
  const system = isMusl(image) ? "alpine" : SYSTEM;
  const command = final.instructions.findLast(({ keyword }) => keyword === "CMD")?.value ?? "";
  const isGenerated = instructions.some(({ value }) => /\bprisma generate\b/.test(value));
  const isLacking = !isGenerated && findLeftOut(command, facts.leftOut)?.generates === true;
  const generate = isLacking ? [`RUN ${generateCommand(facts)}`] : [];
  const lines = [MARK, ...generate, ...buildInstruction(facts, { major: nodeMajor(image), system, out }).split("\n")];
  const edit =
    prune === undefined
      ? { at: last?.end ?? build.from.end, remove: 0, insert: ["", ...lines] }
      : { at: prune.start, remove: 0, insert: [...lines, ""] };
  const isAllPruned = build.instructions.slice(0, from).some(({ value }) => PRUNES.test(value));
  const notes = isAllPruned
    ? [
        `The stage that copies the project has no development dependencies: \`${buildCommand(facts, out)}\` needs prisma there`,
      ]
    : [];
  return { edits: [edit], notes };
}

/** The line of an official image of Node; undefined for any other image, and for one without a number. */
function nodeMajor(image: string): number | undefined {
  const digits = /^(?:\S+\/)?node:v?(\d+)\b/.exec(image)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

type FinalTask = {
  readonly build: Stage;
  readonly final: Stage;
  readonly entry: Entry;
  readonly facts: ProjectFacts;
  readonly surroundings: Surroundings;
};

/** The executable, who it becomes, and that it is the entrypoint: right before what starts the app. */
function editFinal({ stages, lines }: Dockerfile, task: FinalTask): Edits {
  const { build, final, entry, facts, surroundings } = task;
  const chain = withBases(final, stages);
  const inherited = chain.toReversed().flatMap(({ instructions }) => instructions);
  const variables = dockerEnvironment(inherited);
  const isSet = (name: string) => surroundings.set.has(name) || variables.has(name);
  const { variable } = facts.database;
  const isOfficial = nodeMajor(imageOf(final, stages)) !== undefined;
  const owner = isSet("FLYSQLITE_USER") ? undefined : ownerLines(inherited, { isOfficial, facts });
  const before = [
    ...(chain.includes(build) ? [] : [MARK, `COPY --from=${build.name ?? build.index} ${BUILT} ${INSTALLED}`]),
    ...(variable === undefined || isSet(variable.name) ? [] : urlVariable(facts)),
    ...volumeVariable(surroundings.volume),
    ...(owner?.lines ?? []),
  ];
  const command = editCommand(inherited, task);
  const ours = [`ENTRYPOINT ${execForm([INSTALLED, ...entry.rest])}`, ...command.added];
  const notes = [...(owner?.notes ?? []), ...command.notes];

  const start = final.instructions.find(isStart);
  if (entry.instruction === undefined) {
    const first =
      start === undefined
        ? { at: endOf(final, lines), remove: 0, insert: ["", ...before, ...ours] }
        : { at: aboveComments(start.start, lines), remove: 0, insert: [...before, ...ours, ""] };
    return { edits: [first, ...command.edits], notes };
  }
  const { instruction } = entry;
  const first = start === undefined || start.start > instruction.start ? instruction : start;
  const put = { at: aboveComments(first.start, lines), remove: 0, insert: [...before, ""] };
  return { edits: [put, replace(instruction, ours), ...command.edits], notes };
}

/** Whom flysqlite becomes: the user that the image names, or else the one that images of Node have. */
function ownerLines(
  inherited: readonly Instruction[],
  { isOfficial, facts }: { readonly isOfficial: boolean; readonly facts: ProjectFacts },
): { readonly lines: readonly string[]; readonly notes: readonly string[] } | undefined {
  const named = inherited.filter(({ keyword }) => keyword === "USER").at(-1)?.value;
  const isRoot = named === undefined || /^(?:root|0)(?::|$)/.test(named);
  const user = isRoot ? (isOfficial ? IMAGE_USER : undefined) : named;
  if (user === undefined) return undefined;
  return {
    lines: [
      ...(isRoot ? [] : ["USER root"]),
      ...(facts.database.variable === undefined ? linkDirectory(facts, user) : []),
      "# It begins as root, gives the volume to this user, and becomes it: the app does not run as root.",
      `ENV FLYSQLITE_USER=${user}`,
    ],
    notes: isRoot
      ? [`The app ran as root, and will run as "${user}": give that user what it writes to, besides the volume`]
      : [],
  };
}

/** The app's command, where it has to be said anew: lines after ENTRYPOINT, and a CMD that does what flysqlite does. */
function editCommand(
  inherited: readonly Instruction[],
  { final, entry, facts }: FinalTask,
): Edits & { readonly added: readonly string[] } {
  const own = final.instructions.findLast(({ keyword }) => keyword === "CMD");
  // An ENTRYPOINT drops a command that is from the stage before; one that was there has done so already.
  const before = entry.instruction === undefined ? inherited.findLast(({ keyword }) => keyword === "CMD") : undefined;
  const value = own?.value ?? before?.value;
  const leftOut = value === undefined ? undefined : findLeftOut(value, facts.leftOut);
  const notes = leftOut === undefined ? [] : [describeLeftOut(leftOut)];
  const plain = leftOut?.command === undefined ? undefined : `CMD ${execForm(leftOut.command)}`;
  if (own !== undefined) return { added: [], edits: plain === undefined ? [] : [replace(own, [plain])], notes };
  if (value !== undefined) return { added: [plain ?? `CMD ${value}`], edits: [], notes };
  return { added: entry.rest.length > 0 ? [] : [`CMD ${execForm(facts.framework.command)}`], edits: [], notes };
}

const replace = ({ start, end }: Instruction, insert: readonly string[]): LineEdit => {
  return { at: start, remove: end - start, insert };
};

/** A literal url is followed by a link, which the user has to be able to make. */
function linkDirectory({ database }: ProjectFacts, user: string): readonly string[] {
  const directory = posix.dirname(database.path ?? database.name);
  const owner = user.includes(":") ? user : `${user}:`;
  return [
    "# The schema has the database's url literally, so flysqlite puts a link to the volume there.",
    `RUN mkdir -p ${directory} && chown ${owner} ${directory}`,
  ];
}

/** After the stage's last instruction. */
function endOf(stage: Stage, lines: readonly string[]): number {
  return Math.min((stage.instructions.at(-1) ?? stage.from).end, lines.length);
}

/** The line where the comments begin that stand right over an instruction. */
function aboveComments(start: number, lines: readonly string[]): number {
  let at = start;
  while (at > 0 && /^\s*#/.test(lines[at - 1] ?? "")) at--;
  return at;
}

/** What a start script does twice, and what became of it in a Dockerfile that is new. */
export function describeLeftOut({ script, part, command }: Omit<LeftOut, "generates">): string {
  const why = `flysqlite does it, and the image has no Prisma CLI`;
  return command !== undefined
    ? `The image's CMD is the script "${script}" without \`${part}\`: ${why}`
    : `Take \`${part}\` out of the script "${script}": ${why}`;
}

/** For a file that was edited before. */
function noteTwice(final: Stage, { leftOut }: ProjectFacts): readonly string[] {
  const command = final.instructions.findLast(({ keyword }) => keyword === "CMD");
  const found = command === undefined ? undefined : findLeftOut(command.value, leftOut);
  return found === undefined ? [] : [describeLeftOut({ script: found.script, part: found.part })];
}

function noteStarts({ instructions }: Dockerfile, final: Stage): readonly string[] {
  const notes: string[] = [];
  const command = final.instructions.findLast(({ keyword }) => keyword === "CMD");
  if (command !== undefined && /\bprisma (?:migrate|db)\b/.test(command.value)) {
    notes.push(`${place(command)}: flysqlite migrates before it runs the CMD: take \`prisma\` out of that`);
  }
  const litestream = instructions.find(({ value }) => /\blitestream\b/i.test(value));
  if (litestream !== undefined) {
    notes.push(`${place(litestream)}: nothing needs Litestream in the image any more`);
  }
  return notes;
}

/** What the script that a CMD runs has too much. */
function findLeftOut(value: string, leftOut: readonly LeftOut[]): LeftOut | undefined {
  const words = execWords(value) ?? value.split(/\s+/);
  return leftOut.find(({ script }) => isManager(words[0]) && words.at(-1) === script);
}

const isManager = (word = "") => ["npm", "pnpm", "yarn", "bun"].includes(word);
const place = ({ start }: Instruction) => `Dockerfile:${start + 1}`;

/** What a person has to add, where it can't be done for them. */
function adviseLines(facts: ProjectFacts, { volume, set }: Surroundings): readonly string[] {
  const { variable } = facts.database;
  return [
    "# In the stage that has the project and its node_modules, after the app is built:",
    ...buildInstruction(facts, { major: facts.node.major, system: SYSTEM, out: BUILT }).split("\n"),
    `# In the last stage; its C library must be that of the other one:`,
    `COPY --from=build ${BUILT} ${INSTALLED}`,
    ...(variable === undefined || set.has(variable.name) ? [] : urlVariable(facts)),
    ...volumeVariable(volume),
    `ENV FLYSQLITE_USER=${IMAGE_USER}`,
    `ENTRYPOINT ${execForm([INSTALLED])}`,
    `CMD ${execForm(facts.framework.command)}`,
  ];
}

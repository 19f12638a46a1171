// Completions of commands, flags and their words, for the shells that people use. Pure: made of the table that the
// parser reads (COMMANDS) and of what flags mean (flags.ts).

import { COMMANDS, type Command, HELP_TOPICS, SHELLS, type Shell } from "./arguments.ts";
import { type AnyFlag, flagsOf, flagText } from "./flags.ts";

/** The words that begin a command line: those of the table, and those that the table has no flags for. */
type FirstWord = Exclude<Command, `${string} ${string}`> | "init" | "build" | "completion" | "help";

/** What each of them does. */
const FIRST_WORDS: { readonly [word in FirstWord]: string } = {
  run: "prepare the database, replicate it, run the app",
  doctor: "try out what a start depends on",
  init: "write Dockerfile, .dockerignore and fly.toml, or edit them",
  restore: "get the database back, as it was at any point",
  snapshots: "list the points that the replica can restore to",
  verify: "read the whole replica, and say whether it is sound",
  migrate: "apply what is pending",
  seed: "run the app's seed",
  replicate: "replicate beside an app that somebody else starts",
  status: "is the data safe right now?",
  sync: "wait until everything committed is in the replica",
  build: "make an executable with the app's migrations in it",
  completion: "completions for a shell",
  help: "say more of a command",
};

/** The words that may follow a command's own. */
const NEXT_WORDS: { readonly [word in FirstWord]?: readonly string[] } = {
  migrate: ["resolve"],
  help: HELP_TOPICS,
  completion: SHELLS,
};

/** The values that name something on the disk. */
const PATHS: ReadonlySet<string> = new Set(["DIR", "FILE", "URL"]);

const commands = Object.keys(COMMANDS) as Command[];

/** A script for the shell to read. It starts nothing, so that completing costs nothing. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

function bash(): string {
  const words = Object.entries(NEXT_WORDS).map(([word, next]) => `    ${word}) words="${next.join(" ")}" ;;`);
  const flags = commands.map((command) => `    "${command}") flags="${flagsOf(command).map(dashed).join(" ")}" ;;`);
  return `# flysqlite's completions for bash
_flysqlite() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD - 1]}" command words="" flags=""
  COMPREPLY=()
  # The shell splits at "=", too.
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $before == "=" ]]; then
    before="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  case "$before" in
${choices(({ words }) => `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current")); return`)}
    ${valued("paths").join("|")}) COMPREPLY=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null; return ;;
    ${valued("texts").join("|")}) return ;;
  esac
  command="\${COMP_WORDS[1]}"
  if [[ $command == migrate && \${COMP_WORDS[2]:-} == resolve && $COMP_CWORD -gt 2 ]]; then
    command="migrate resolve"
  elif [[ $command == -* ]]; then
    command=run
  elif [[ $COMP_CWORD -eq 1 ]]; then
    words="${Object.keys(FIRST_WORDS).join(" ")}"
  fi
  [[ $COMP_CWORD -eq 2 ]] && case "$command" in
${words.join("\n")}
  esac
  case "$command" in
${flags.join("\n")}
  esac
  if [[ $current == -* ]]; then
    words="$flags"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _flysqlite flysqlite
`;
}

function zsh(): string {
  const described = Object.entries(FIRST_WORDS).map(([word, meaning]) => `    ${quote(`${word}:${meaning}`)}`);
  const next = Object.entries(NEXT_WORDS).map(
    ([word, words]) => `    ${word}) (( CURRENT == 3 )) && compadd -- ${words.join(" ")} ;;`,
  );
  const flags = commands.map((command) => {
    const rest = command === "run" ? " '*::app:_normal'" : "";
    return `    ${quote(command)}) _arguments -S ${flagsOf(command).map(zshFlag).join(" ")}${rest} ;;`;
  });
  return `#compdef flysqlite
# flysqlite's completions for zsh
_flysqlite() {
  local -a first=(
${described.join("\n")}
  )
  local command="\${words[2]}"
  if [[ $command == -* ]]; then
    command=run
  elif (( CURRENT == 2 )); then
    _describe command first
    return
  else
    case "$command" in
${next.join("\n")}
    esac
    # What follows is seen from the command's own word on.
    shift words; (( CURRENT-- ))
    if [[ $command == migrate && \${words[2]} == resolve && CURRENT -gt 2 ]]; then
      command="migrate resolve"
      shift words; (( CURRENT-- ))
    fi
  fi
  case "$command" in
${flags.join("\n")}
  esac
}
if [[ $funcstack[1] == _flysqlite ]]; then _flysqlite "$@"; else compdef _flysqlite flysqlite; fi
`;
}

function zshFlag(flag: AnyFlag): string {
  const { value, words, meaning } = flagText(flag);
  const text = `--${flag}${value === undefined ? "" : "="}[${meaning.replace(/[[\]\\]/g, "\\$&")}]`;
  if (value === undefined) return quote(text);
  const values = words === undefined ? (PATHS.has(value) ? "_files" : " ") : `(${words.join(" ")})`;
  return quote(`${text}:${value.toLowerCase().replaceAll(":", "\\:")}:${values}`);
}

function fish(): string {
  const none = "not __fish_seen_subcommand_from";
  const named = Object.keys(FIRST_WORDS);
  const first = Object.entries(FIRST_WORDS).map(
    ([word, meaning]) => `complete -c flysqlite -n __fish_use_subcommand -a ${word} -d ${quote(meaning)}`,
  );
  const next = Object.entries(NEXT_WORDS).map(
    ([word, words]) =>
      `complete -c flysqlite -n ${quote(`__fish_seen_subcommand_from ${word}`)} -a ${quote(words.join(" "))}`,
  );
  const flags = commands.flatMap((command) => {
    const [word = "", ...more] = command.split(" ");
    const others = named.filter((name) => name !== word).join(" ");
    const when =
      command === "run"
        ? `${none} ${others}`
        : [word, ...more].map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
    return flagsOf(command).map((flag) => `complete -c flysqlite -n ${quote(when)} ${fishFlag(flag)}`);
  });
  return `# flysqlite's completions for fish\n${[...first, ...next, ...flags].join("\n")}\n`;
}

function fishFlag(flag: AnyFlag): string {
  const { value, words, meaning } = flagText(flag);
  const what = `-l ${flag} -d ${quote(meaning)}`;
  if (value === undefined) return what;
  if (words !== undefined) return `${what} -x -a ${quote(words.join(" "))}`;
  return PATHS.has(value) ? `${what} -r` : `${what} -x`;
}

/** bash's cases for the flags whose value is one of a few words. */
function choices(then: (choice: { readonly words: readonly string[] }) => string): string {
  return allFlags()
    .flatMap((flag) => {
      const { words } = flagText(flag);
      return words === undefined ? [] : [`    --${flag}) ${then({ words })} ;;`];
    })
    .join("\n");
}

/** The flags whose value is a path, or anything else but one of a few words. */
function valued(kind: "paths" | "texts"): readonly string[] {
  return allFlags().flatMap((flag) => {
    const { value, words } = flagText(flag);
    if (value === undefined || words !== undefined) return [];
    return PATHS.has(value) === (kind === "paths") ? [dashed(flag)] : [];
  });
}

function allFlags(): readonly AnyFlag[] {
  return [...new Set(commands.flatMap(flagsOf))];
}

function dashed(flag: AnyFlag): string {
  return `--${flag}`;
}

/** One word for any of these shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

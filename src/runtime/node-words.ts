// The words after `node`, read as Node reads them. Pure.
// Source: https://nodejs.org/docs/latest-v24.x/api/cli.html

export type NodeWords = {
  /** Options that Node takes from NODE_OPTIONS too. */
  readonly options: readonly string[];
  /** Files of variables; a missing one is a failure where `required`. */
  readonly envFiles: readonly { readonly path: string; readonly required: boolean }[];
  readonly entry: NodeEntry;
};

export type NodeEntry =
  | { readonly kind: "script"; readonly path: string; readonly arguments: readonly string[] }
  | { readonly kind: "eval"; readonly code: string; readonly print: boolean; readonly arguments: readonly string[] }
  | { readonly kind: "version" }
  /** What this Node can't be asked for, such as "a prompt". */
  | { readonly kind: "unsupported"; readonly what: string };

/** Options whose value may be the next word. */
const TAKE_NEXT = new Set([
  ...["-r", "--require", "--import", "-C", "--conditions", "--experimental-loader", "--loader"],
  ...["--title", "--unhandled-rejections", "--dns-result-order", "--max-http-header-size", "--redirect-warnings"],
  ...["--disable-warning", "--diagnostic-dir", "--icu-data-dir", "--openssl-config", "--localstorage-file"],
  ...["--input-type", "--report-dir", "--report-directory", "--report-filename", "--report-signal"],
  ...["--heapsnapshot-signal", "--trace-event-categories", "--trace-event-file-pattern", "--watch-path"],
]);

/** What needs Node's own start, which an executable like ours has replaced. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ["--test", "the test runner"],
  ["--watch", "watch mode"],
  ["--run", "--run"],
  ["-c", "a syntax check"],
  ["--check", "a syntax check"],
  ["-i", "a prompt"],
  ["--interactive", "a prompt"],
  ["-", "a script on standard input"],
]);

export function parseNodeWords(words: readonly string[]): NodeWords {
  const options: string[] = [];
  const envFiles: { path: string; required: boolean }[] = [];
  const result = (entry: NodeEntry): NodeWords => ({ options, envFiles, entry });
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const [name = "", ...values] = word.split("=");
    const value = values.length > 0 ? values.join("=") : undefined;
    const what = UNSUPPORTED.get(name);
    if (what !== undefined) return result({ kind: "unsupported", what });
    if (word === "--") return result(scriptAt(words, at + 1));
    if (!word.startsWith("-")) return result(scriptAt(words, at));
    if (word === "-v" || word === "--version") return result({ kind: "version" });
    if (name === "-e" || name === "--eval" || name === "-p" || name === "--print" || name === "-pe") {
      const code = value ?? words[++at] ?? "";
      return result({
        kind: "eval",
        code,
        print: name.startsWith("-p") || name === "--print",
        arguments: words.slice(at + 1),
      });
    }
    if (name === "--env-file" || name === "--env-file-if-exists") {
      envFiles.push({ path: value ?? words[++at] ?? "", required: name === "--env-file" });
    } else {
      options.push(word);
      const next = words[at + 1];
      if (value === undefined && TAKE_NEXT.has(name) && next !== undefined) {
        options.push(next);
        at += 1;
      }
    }
  }
  return result({ kind: "unsupported", what: "a prompt" });
}

function scriptAt(words: readonly string[], at: number): NodeEntry {
  const path = words[at];
  if (path === undefined) return { kind: "unsupported", what: "a prompt" };
  return { kind: "script", path, arguments: words.slice(at + 1) };
}

/** The word by which an executable like ours takes options for the Node in it. */
export const OPTIONS_WORD = "--node-options=";

/**
 * Takes back what flysqlite's own processes are limited to: V8 finds its limits again, by the memory that there is,
 * and SIGUSR1 is the app's own.
 */
export const OWN_LIMITS: readonly string[] = [
  "--max-old-space-size=0",
  "--max-semi-space-size=0",
  "--no-disable-sigusr1",
];

/** What Node is to be started with: no limits of ours, then NODE_OPTIONS, then those among the words after `node`. */
export function optionsWith(nodeOptions: string | undefined, words: readonly string[]): string {
  const parts = [joinOptions(OWN_LIMITS), nodeOptions ?? "", joinOptions(parseNodeWords(words).options)];
  return parts.filter((part) => part !== "").join(" ");
}

/** Options as NODE_OPTIONS has them: apart by blanks, in quotes where they hold one. */
function joinOptions(options: readonly string[]): string {
  return options
    .map((option) => (/[\s"\\]/.test(option) ? `"${option.replaceAll(/["\\]/g, "\\$&")}"` : option))
    .join(" ");
}

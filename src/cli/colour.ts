// Colour in our lines, for a terminal: what went wrong stands out. Pure. Source: https://no-color.org

const RED = "\u001b[31m";
const YELLOW = "\u001b[33m";
const PLAIN = "\u001b[39m";

/** True where colour is of use, and nobody asked to do without. */
export function wantsColour(environment: NodeJS.ProcessEnv, { isTerminal }: { readonly isTerminal: boolean }): boolean {
  return isTerminal && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
}

/** A line as cli/render-event.ts renders it, with a failure's name in red and the word "warning" in yellow. */
export function colourLine(line: string): string {
  return line
    .replace(/^(flysqlite {2})(failed +\w+)/, `$1${RED}$2${PLAIN}`)
    .replace(/^( *(?:\d+ ms {2})?flysqlite {2}\w+ +)(warning)(?=:)/, `$1${YELLOW}$2${PLAIN}`);
}

// The sections of docs/commands.md: what --help says of each command, and which settings its parser takes. Pure.

import { BUILD_HELP } from "../../build/command.ts";
import { COMMANDS, type Command, HELP_TOPICS } from "../../src/cli/arguments.ts";
import { commandHelp, helpText } from "../../src/cli/help.ts";
import { FLAGS, SWITCHES } from "../../src/config/settings.ts";

const SETTINGS: ReadonlySet<string> = new Set([...FLAGS, ...SWITCHES]);

/** `run` first, then each command that has a page of help, and the build. */
export function commandSections(): string {
  const pages = HELP_TOPICS.map((topic) => section(`flysqlite ${topic}`, commandHelp(topic), topic));
  return [
    section("flysqlite run", usage(), "run"),
    ...pages,
    section("npx flysqlite build", BUILD_HELP, undefined),
  ].join("\n\n");
}

function section(heading: string, help: string, command: string | undefined): string {
  const settings = Object.keys(COMMANDS).includes(command ?? "") ? settingsOf(command as Command) : [];
  const taken = settings.map((flag) => `\`--${flag}\``).join(", ");
  const all = settings.length === SETTINGS.size;
  const line = all ? "all of [settings.md](settings.md)" : `${taken}, as [settings.md](settings.md) has them`;
  return [
    `## ${heading}`,
    `\`\`\`\n${help.trim()}\n\`\`\``,
    ...(settings.length === 0 ? [] : [`Settings: ${line}.`]),
  ].join("\n\n");
}

function settingsOf(command: Command): readonly string[] {
  const { strings, booleans } = COMMANDS[command];
  return [...strings, ...booleans].filter((flag) => SETTINGS.has(flag));
}

/** What the general help says of how it is called, without the flags and statuses that have documents of their own. */
function usage(): string {
  const help = helpText("");
  return help.slice(help.indexOf("Usage\n"), help.indexOf("\nFlags, each also"));
}

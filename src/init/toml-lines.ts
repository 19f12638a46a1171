// A TOML file as tables and keys that know their lines, for edits that keep comments and order. Pure. It reads what
// people write into fly.toml, and no more: the values of strings, numbers and lists of strings.
// Source: https://toml.io/en/v1.0.0

export type TomlKey = {
  readonly name: string;
  /** As it is written, comments included. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly indent: string;
};

export type TomlTable = {
  /** "" for what stands before the first head. */
  readonly name: string;
  /** Line of its head; -1 where it has none. */
  readonly start: number;
  readonly keys: readonly TomlKey[];
};

export function readToml(text: string): readonly TomlTable[] {
  const lines = text.split(/\r?\n/);
  const tables: { name: string; start: number; keys: TomlKey[] }[] = [{ name: "", start: -1, keys: [] }];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    const line = lines[at++] ?? "";
    const head = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$/.exec(line)?.[1];
    if (head !== undefined) {
      tables.push({ name: head.replaceAll(/["']/g, ""), start, keys: [] });
      continue;
    }
    const [, indent = "", key, first = ""] = /^(\s*)("[^"]*"|'[^']*'|[\w.-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === undefined) continue;
    let value = first;
    while (!isWhole(value) && at < lines.length) value += `\n${lines[at++] ?? ""}`;
    tables.at(-1)?.keys.push({ name: key.replaceAll(/^["']|["']$/g, ""), text: value, start, end: at, indent });
  }
  return tables;
}

/** The text of a value that is a string or a number; undefined for any other. */
export function scalar(text: string): string | undefined {
  const [, basic, literal, bare] = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([\w.+-]+))\s*(?:#.*)?$/.exec(text.trim()) ?? [];
  if (basic === undefined) return literal ?? bare;
  try {
    return String(JSON.parse(`"${basic}"`)); // TOML's escapes, but for \e and \U, are JSON's
  } catch {
    return undefined;
  }
}

/** Whether a value ends with its text: no string of several lines and no bracket is open. */
function isWhole(value: string): boolean {
  const rest = value.replace(
    /"""[\s\S]*?"""|'''[\s\S]*?'''|(?:"""|''')[\s\S]*$|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*/g,
    (found) => (/^(?:"""|''')/.test(found) && !/^("""|''')[\s\S]*\1$/.test(found) ? "[" : ""),
  );
  const count = (pattern: RegExp) => rest.match(pattern)?.length ?? 0;
  return count(/[[{]/g) <= count(/[\]}]/g);
}

// Changes to a text, line by line, that leave every other byte as it is. Pure.

/** Lines are counted from 0, in the text as it was. */
export type LineEdit = {
  /** Line that the new ones come before; or the first one to be removed. */
  readonly at: number;
  readonly remove: number;
  readonly insert: readonly string[];
};

/** Makes all of the edits. Those at one line come in the order in which they are given. */
export function applyEdits(text: string, edits: readonly LineEdit[]): string {
  if (edits.every(({ remove, insert }) => remove === 0 && insert.length === 0)) return text;
  const newline = /\r\n/.test(text) ? "\r\n" : "\n";
  const lines = splitLines(text);
  const last = lines.at(-1);
  // To a last line that isn't ended, what comes after it would be joined.
  if (last !== undefined && !last.endsWith("\n")) lines[lines.length - 1] = last + newline;
  const fromLast = edits
    .map((edit, order) => ({ ...edit, order }))
    .sort((left, right) => right.at - left.at || right.order - left.order);
  for (const { at, remove, insert } of fromLast) lines.splice(at, remove, ...insert.map((line) => line + newline));
  return lines.join("");
}

/** The lines with their ends. */
export function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

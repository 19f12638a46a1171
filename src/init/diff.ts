// What changes between two texts, as `diff -u` shows it. Pure.
// Source: https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html

/** Unchanged lines that are shown around each change. */
const CONTEXT = 3;

type Line = { readonly sign: " " | "-" | "+"; readonly text: string };

/** Gives no lines for equal texts. `before` is undefined for a file that is new. */
export function unifiedDiff(path: string, before: string | undefined, after: string): readonly string[] {
  const lines = compare(linesOf(before ?? ""), linesOf(after));
  const changed = lines.flatMap(({ sign }, index) => (sign === " " ? [] : [index]));
  if (changed.length === 0) return [];
  const hunks: { start: number; end: number }[] = [];
  for (const index of changed) {
    const [start, end] = [Math.max(0, index - CONTEXT), Math.min(lines.length, index + CONTEXT + 1)];
    const last = hunks.at(-1);
    if (last !== undefined && start <= last.end) last.end = end;
    else hunks.push({ start, end });
  }
  return [
    `--- ${before === undefined ? "/dev/null" : `a/${path}`}`,
    `+++ b/${path}`,
    ...hunks.flatMap(({ start, end }) => {
      const shown = lines.slice(start, end);
      return [hunkHead(lines.slice(0, start), shown), ...shown.map(({ sign, text }) => sign + text)];
    }),
  ];
}

function hunkHead(above: readonly Line[], shown: readonly Line[]): string {
  const count = (lines: readonly Line[], other: Line["sign"]) => lines.filter(({ sign }) => sign !== other).length;
  const range = (other: "+" | "-") => {
    const [skipped, length] = [count(above, other), count(shown, other)];
    return `${length === 0 ? skipped : skipped + 1},${length}`;
  };
  return `@@ -${range("+")} +${range("-")} @@`;
}

function linesOf(text: string): readonly string[] {
  if (text === "") return [];
  return text.replace(/\n$/, "").split("\n");
}

/** Along a longest common subsequence. Time and space are the product of the lengths, of files of a page or two. */
function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      common[row * width + column] =
        before[row] === after[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: Line[] = [];
  let [row, column] = [0, 0];
  while (row < before.length || column < after.length) {
    const [old, fresh] = [before[row], after[column]];
    if (old !== undefined && old === fresh) {
      lines.push({ sign: " ", text: old });
      row++;
      column++;
    } else if (old !== undefined && (fresh === undefined || at(row + 1, column) >= at(row, column + 1))) {
      lines.push({ sign: "-", text: old });
      row++;
    } else {
      lines.push({ sign: "+", text: fresh ?? "" });
      column++;
    }
  }
  return lines;
}

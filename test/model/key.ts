// Which states of the model need not be told apart. Pure.

import { NO_HEADER, PAGES, PHASES, type Position, type State, saltOf, TAILS } from "./state.ts";

/**
 * A text that two states share if all that can follow is the same. Commits count from the oldest one that matters; of salts
 * only counts which are equal, and which is another's plus 1.
 */
export function keyOf(s: State): string {
  const { position, remembered, found } = s;
  const oldest = Math.min(
    s.base,
    s.stored,
    s.kept,
    headerBaseOf(s),
    position?.commit ?? s.base,
    remembered?.commit ?? s.base,
  );
  const salts = ranksOf([s.salt, s.headerSalt, saltOf(position), saltOf(remembered), found?.salt ?? NO_HEADER]);
  const numbers = [
    ...[...salts, s.base - oldest, s.frames, s.backfilled, s.stored - oldest],
    ...[Number(s.isFirstHeader), headerBaseOf(s) - oldest, s.written, TAILS.indexOf(s.tail)],
    ...[s.appRead, s.appWrite, Number(s.hasSpilled), s.reader, s.spare, s.view, s.lock],
    ...[PHASES.indexOf(s.phase), Number(s.sealed), Number(s.isFresh), Number(s.isEmptiedAgain), s.kept - oldest],
    ...[...numbersOf(position, oldest), ...numbersOf(remembered, oldest)],
  ];
  if (found !== undefined) {
    const { first, last, pages } = found;
    numbers.push(first === 0 ? -1 : first - oldest, last - oldest, PAGES.indexOf(pages), Number(found.sealed));
    numbers.push(...numbersOf(found.position, oldest));
  }
  // A step that goes wrong may lead to where one that does not leads too.
  return String.fromCharCode(...numbers.map((number) => number + 1)) + (s.wrong ?? "");
}

function headerBaseOf({ headerSalt, headerBase, base }: State): number {
  return headerSalt === NO_HEADER ? base : headerBase;
}

function numbersOf(position: Position | undefined, oldest: number): readonly number[] {
  if (position === undefined) return [-1, 0];
  if (position.kind === "file") return [position.isSame ? 100 : 101, position.commit - oldest];
  return [position.frame, position.commit - oldest];
}

/** The same salts, made as small as can be. */
function ranksOf(salts: readonly number[]): readonly number[] {
  const sorted = salts.toSorted((a, b) => a - b);
  const ranks = new Map([[NO_HEADER, NO_HEADER]]);
  let [before, rank] = [Number.NEGATIVE_INFINITY, 0];
  for (const salt of sorted) {
    if (ranks.has(salt)) continue;
    rank += salt === before + 1 ? 1 : 2;
    ranks.set(salt, rank);
    before = salt;
  }
  return salts.map((salt) => ranks.get(salt) ?? NO_HEADER);
}

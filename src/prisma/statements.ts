// Where the statements of an SQL script end. Pure.
//
// SQLite runs a script statement by statement; run piece by piece, it gives the same result as long as no piece ends
// within a statement. Only a trigger has semicolons within: it ends with "; END ;".
// Source: https://sqlite.org/c3ref/complete.html, https://sqlite.org/lang_createtrigger.html

export type Statement = {
  /** As it stands in the script, with the comments before it. */
  readonly text: string;
  /** Line of its first word, counted from 1. */
  readonly line: number;
};

/** A comment, something in quotes (closed or not), a word, a semicolon, or any other character that is no blank. */
const TOKEN = /--[^\n]*|\/\*(?!$)[\s\S]*?(?:\*\/|$)|'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|[\w$\u0080-\uffff]+|;|\S/g;

/** The comments and blanks before a statement's first word. */
export const LEADING_COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))+/;

/** What the first words of a trigger are, put together. */
const TRIGGER = /^(?:EXPLAIN (?:QUERY PLAN )?)?CREATE (?:TEMP |TEMPORARY )?TRIGGER /;
const TRIGGER_WORDS = 6;

/** Splits a script. What is no SQL ends up in a piece that SQLite refuses as it would have refused the whole. */
export function splitStatements(script: string): readonly Statement[] {
  const text = script.split("\0", 1)[0] ?? ""; // SQLite takes a script for a C string
  const statements: Statement[] = [];
  const lineAt = createLineCounter(text);
  let start = 0;
  let line: number | undefined;
  let head = "";
  let wordCount = 0;
  let [beforeLast, last] = ["", ""];

  const end = (at: number) => {
    if (line !== undefined) statements.push({ text: text.slice(start, at), line });
    [start, line, head, wordCount, beforeLast, last] = [at, undefined, "", 0, "", ""];
  };
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    line ??= lineAt(index);
    const isWithinTrigger = token === ";" && TRIGGER.test(head) && !(beforeLast === ";" && last === "END");
    if (token === ";" && !isWithinTrigger) {
      end(index + 1);
      continue;
    }
    const word = token.toUpperCase();
    if (wordCount < TRIGGER_WORDS) head += `${word} `;
    wordCount += 1;
    [beforeLast, last] = [last, word];
  }
  end(text.length);
  return statements;
}

/** Tells the line of an offset, counted from 1. Offsets must come in ascending order. */
function createLineCounter(text: string): (offset: number) => number {
  let [line, counted] = [1, 0];
  return (offset) => {
    for (let at = text.indexOf("\n", counted); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
      line += 1;
      counted = at + 1;
    }
    return line;
  };
}

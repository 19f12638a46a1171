// Splits a seed command into program and arguments. Pure.
// Source: Prisma 7.10, `db seed`

/**
 * Splits at blanks, as Prisma does, which uses no shell: quotes, `$HOME` and `&&` reach the program as they are.
 *
 * A backslash before blanks keeps one of them in the word. Gives an empty list where there is nothing to run.
 */
export function splitSeedCommand(command: string): readonly string[] {
  const words =
    command
      .trim()
      .replaceAll(/ +/g, " ")
      .match(/(?:\\ |[^ ])+/g) ?? [];
  return words.map((word) => word.replaceAll("\\ ", " "));
}

import { describe, expect, it } from "vitest";
import { splitSeedCommand } from "../../../src/prisma/seed-command.ts";

describe("splitSeedCommand", () => {
  it.each([
    ["node prisma/seed.ts", ["node", "prisma/seed.ts"]],
    ["  tsx   prisma/seed.ts  ", ["tsx", "prisma/seed.ts"]],
    ["node my\\ seed.ts", ["node", "my seed.ts"]],
    ["node my\\   seed.ts", ["node", "my seed.ts"]],
    ["node a\\ b\\ c d", ["node", "a b c", "d"]],
    ["node a\\\\ b", ["node", "a\\ b"]],
    ["node C:\\seed.ts", ["node", "C:\\seed.ts"]],
    ["X=1 node seed.ts && echo $HOME", ["X=1", "node", "seed.ts", "&&", "echo", "$HOME"]],
    [`node -e "a b"`, ["node", "-e", '"a', 'b"']],
    ["node\tseed.ts", ["node\tseed.ts"]],
    ["", []],
    ["   ", []],
  ])("splits %j as Prisma does", (command, words) => {
    expect(splitSeedCommand(command)).toEqual(words);
  });
});

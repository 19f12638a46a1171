import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeSwapHeader } from "../../../src/supervisor/swap.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const UUID = "8a7f1c52-3f0e-4a51-9f0b-2d6f5f1f7c11";

describe("encodeSwapHeader", () => {
  it("is what mkswap writes", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "swap");
    writeFileSync(path, new Uint8Array(1 << 20), { mode: 0o600 });
    execFileSync("/sbin/mkswap", ["--uuid", UUID, path], { stdio: "ignore" });
    expect(Buffer.from(encodeSwapHeader(256, UUID))).toEqual(readFileSync(path).subarray(0, 4096));
  });
});

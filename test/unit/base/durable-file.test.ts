import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  makePrivateDirectory,
  readIfPresent,
  removeDurably,
  syncDirectory,
  writeDurably,
} from "../../../src/base/durable-file.ts";
import { systemError } from "../../support/system-error.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

describe("writeDurably", () => {
  it("writes a file that only its owner can read, and leaves nothing beside it", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.json");
    await writeDurably(path, "größe");
    expect(readFileSync(path, "utf8")).toBe("größe");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory.path)).toEqual(["state.json"]);
  });

  it("replaces a file by another one, so that a reader has the old content or the new", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.json");
    await writeDurably(path, "a long first text");
    const before = statSync(path).ino;
    await writeDurably(path, "second");
    expect(readFileSync(path, "utf8")).toBe("second");
    expect(statSync(path).ino).not.toBe(before);
  });

  it("writes over what a crash left of an earlier try", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.json");
    writeFileSync(`${path}.tmp`, "half of a much longer text than the one that is writ");
    await writeDurably(path, "whole");
    expect(readFileSync(path, "utf8")).toBe("whole");
    expect(readdirSync(directory.path)).toEqual(["state.json"]);
  });

  it("fails where its directory is not there", async () => {
    using directory = temporaryDirectory();
    await expect(writeDurably(join(directory.path, "no/state.json"), "")).rejects.toThrow(systemError("ENOENT"));
  });
});

describe("removeDurably", () => {
  it("removes a file, and takes it well that there is none", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "mark");
    writeFileSync(path, "");
    await removeDurably(path);
    expect(readdirSync(directory.path)).toEqual([]);
    await expect(removeDurably(path)).resolves.toBeUndefined();
  });
});

describe("makePrivateDirectory", () => {
  it("makes one that only its owner can enter, and keeps the one that is there", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "private");
    await makePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    writeFileSync(join(path, "kept"), "");
    await makePrivateDirectory(path);
    expect(readdirSync(path)).toEqual(["kept"]);
  });

  it("makes one level only", async () => {
    using directory = temporaryDirectory();
    await expect(makePrivateDirectory(join(directory.path, "a/b"))).rejects.toThrow(systemError("ENOENT"));
  });
});

describe("readIfPresent", () => {
  it("gives the text, nothing where there is no file, and fails where it can't be told", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.json");
    expect(readIfPresent(path)).toBeUndefined();
    writeFileSync(path, "text");
    expect(readIfPresent(path)).toBe("text");
    mkdirSync(join(directory.path, "directory"));
    expect(() => readIfPresent(join(directory.path, "directory"))).toThrow(systemError("EISDIR"));
  });
});

describe("syncDirectory", () => {
  it("fails where there is no directory", async () => {
    using directory = temporaryDirectory();
    await expect(syncDirectory(directory.path)).resolves.toBeUndefined();
    await expect(syncDirectory(join(directory.path, "no"))).rejects.toThrow(systemError("ENOENT"));
  });
});

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { open, removeFile } from "../../../src/base/files.ts";
import { systemError } from "../../support/system-error.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

describe("an open file", () => {
  it("is written piece after piece, and read back from anywhere", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "file");
    {
      await using file = await open(path, "wx");
      await file.write("one ");
      await file.write(Buffer.from("two"));
      await file.sync();
      expect((await file.stat()).size).toBe(7n);
    }
    expect(readFileSync(path, "utf8")).toBe("one two");
    await using file = await open(path);
    const bytes = Buffer.alloc(5);
    expect(await file.read(bytes, 4)).toBe(3);
    expect(bytes.toString("latin1", 0, 3)).toBe("two");
    expect(await file.read(bytes, 7)).toBe(0);
    expect((await file.readAll()).toString()).toBe("one two");
  });

  it("is closed when it is disposed of", async () => {
    using directory = temporaryDirectory();
    const file = await open(join(directory.path, "file"), "w");
    await file[Symbol.asyncDispose]();
    await expect(file.stat()).rejects.toThrow(systemError("EBADF"));
  });

  it("is refused where the flags or the file system do", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "file");
    await expect(open(path)).rejects.toThrow(systemError("ENOENT"));
    writeFileSync(path, "");
    await expect(open(path, "wx")).rejects.toThrow(systemError("EEXIST"));
  });
});

describe("removeFile", () => {
  it("removes a file, has nothing to do where there is none, and leaves directories", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "file");
    writeFileSync(path, "");
    await removeFile(path);
    expect(existsSync(path)).toBe(false);
    await removeFile(path);
    await expect(removeFile(directory.path)).rejects.toThrow();
  });
});

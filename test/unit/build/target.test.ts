import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inspectNode, parseTarget, targetName } from "../../../build/target.ts";

const GLIBC_X64 = "/lib64/ld-linux-x86-64.so.2";

/** The head of an executable: file header, a PT_LOAD and a PT_INTERP entry, the loader's name. */
function elf({
  machine = 62,
  interpreter = GLIBC_X64,
}: {
  readonly machine?: number;
  readonly interpreter?: string;
} = {}) {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x7f454c46);
  view.setUint8(4, 2); // 64-bit
  view.setUint8(5, 1); // little endian
  view.setUint16(18, machine, true);
  view.setBigUint64(32, 64n, true); // where the program headers are
  view.setUint16(54, 56, true); // size of one
  view.setUint16(56, 2, true); // number of them
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(120, 3, true); // PT_INTERP
  view.setBigUint64(128, 200n, true);
  view.setBigUint64(152, BigInt(interpreter.length + 1), true);
  bytes.set(Buffer.from(`${interpreter}\0`), 200);
  return bytes;
}

const build = expect.objectContaining({ code: "E_BUILD", hint: expect.stringContaining("https://nodejs.org/dist/") });

describe("parseTarget", () => {
  it.each([
    [62, GLIBC_X64, "linux-x64 (glibc)"],
    [62, "/lib/ld-musl-x86_64.so.1", "linux-x64 (musl)"],
    [183, "/lib/ld-linux-aarch64.so.1", "linux-arm64 (glibc)"],
    [183, "/lib/ld-musl-aarch64.so.1", "linux-arm64 (musl)"],
    [62, "/nix/store/0a1b-glibc-2.40/lib/ld-linux-x86-64.so.2", "linux-x64 (glibc)"],
  ])("reads machine %i with %s as %s", (machine, interpreter, name) => {
    expect(targetName(parseTarget(elf({ machine, interpreter })))).toBe(name);
  });

  it("reads the Node that runs this", () => {
    const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
    expect(parseTarget(readFileSync(process.execPath).subarray(0, 65536))).toEqual({
      architecture: process.arch,
      libc: glibcVersionRuntime === undefined ? "musl" : "glibc",
    });
  });

  it.each([
    ["an empty file", new Uint8Array(), "no ELF executable"],
    ["a script", Buffer.from(`#!/usr/bin/env node\n${" ".repeat(100)}`), "no ELF executable"],
    ["another machine's", elf({ machine: 243 }), "ELF machine 243"],
    ["another libc's", elf({ interpreter: "/system/bin/linker64" }), '"/system/bin/linker64"'],
    ["a file that was cut", elf().subarray(0, 210), "no dynamic loader"],
    ["a file that was cut in its program headers", elf().subarray(0, 100), "no dynamic loader"],
    ["a 32-bit executable", elf().with(4, 1), "not 64-bit"],
  ])("refuses %s", (_, bytes, reason) => {
    expect(() => parseTarget(bytes)).toThrow(build);
    expect(() => parseTarget(bytes)).toThrow(reason);
  });
});

describe("inspectNode", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("knows version and target of the Node that runs this", async () => {
    const { path, version, target } = await inspectNode(process.execPath);
    expect({ path, version }).toEqual({ path: process.execPath, version: process.version });
    expect(target.architecture).toBe(process.arch);
  });

  it("refuses a file that isn't there", async () => {
    await expect(inspectNode(join(directory, "node"))).rejects.toThrow(build);
  });

  it("refuses an executable that does not run", async () => {
    const path = join(directory, "node");
    writeFileSync(path, elf());
    chmodSync(path, 0o755);
    await expect(inspectNode(path)).rejects.toThrow("does not run here");
  });

  it("refuses what is no Node 24, and says how to get one", async () => {
    await expect(inspectNode("/bin/true")).rejects.toThrow(build);
    await expect(inspectNode("/bin/true")).rejects.toThrow("flysqlite needs v24");
  });
});

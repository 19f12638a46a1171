import { describe, expect, it } from "vitest";
import { forgetAllocator, tellAllocator } from "../../../src/base/allocator.ts";

describe("what the allocator is told", () => {
  it("is added for a process of ours, and removed by it", () => {
    const told = { ...tellAllocator({ PATH: "/bin" }) };
    expect(told).toEqual({ PATH: "/bin", MALLOC_ARENA_MAX: "0x1" });
    forgetAllocator(told);
    expect(told).toEqual({ PATH: "/bin" });
  });

  it("stays as somebody has set it", () => {
    const told = { ...tellAllocator({ MALLOC_ARENA_MAX: "2" }) };
    expect(told).toEqual({ MALLOC_ARENA_MAX: "2" });
    forgetAllocator(told);
    expect(told).toEqual({ MALLOC_ARENA_MAX: "2" });
  });
});

import { describe, expect, it } from "vitest";
import { formatLease, type LeaseContent, parseLease } from "../../../../src/replica/lease/content.ts";
import { seededRandom } from "../../../support/random.ts";
import { content } from "./support.ts";

const parse = (text: string) => parseLease(new TextEncoder().encode(text), "s3://bucket/app");
const corrupt = (text: string) =>
  expect.objectContaining({ code: "E_REPLICA_CORRUPT", message: expect.stringContaining(text) as string });

/** The lease as text, with some of its fields replaced. */
const changed = (fields: object) => JSON.stringify({ ...JSON.parse(formatLease(content())), ...fields });

describe("a lease as text", () => {
  it("says who has it, and until when, in words that people can read", () => {
    expect(formatLease(content())).toBe(`{
  "version": 1,
  "epoch": 3,
  "owner": "00000000-0000-4000-8000-000000000001",
  "taking": "00000000-0000-4000-8000-0000000000a1",
  "renewal": 0,
  "state": "held",
  "ttlMs": 45000,
  "machine": "m1",
  "since": "2026-11-24T09:30:00.000Z"
}
`);
  });

  it.each<Partial<LeaseContent>>([
    {},
    { state: "released" },
    { epoch: 1 },
    { epoch: 2 ** 48 },
    { renewal: 5_000_000 },
    { ttlMs: 1 },
    { machine: 'a "quoted" näme\n' },
    { sinceMs: 0 },
  ])("is read as it was written: %j", (fields) => {
    const lease = content(fields);
    expect(parse(formatLease(lease))).toEqual(lease);
  });

  it("is read where a later release wrote more into it", () => {
    expect(parse(changed({ region: "fra" }))).toEqual(content());
  });

  it.each([
    ["nothing", "", "no JSON object"],
    ["text", "hello", "no JSON object"],
    ["a list", "[]", "no JSON object"],
    ["null", "null", "no JSON object"],
    ["half of one", formatLease(content()).slice(0, 100), "no JSON object"],
    ["another format", changed({ version: 2 }), "its format is 2"],
    ["no format", changed({ version: undefined }), "its format is undefined"],
    ["a long format", changed({ version: "x".repeat(500) }), 'its format is "xxxx'],
    ["no epoch", changed({ epoch: undefined }), "no epoch"],
    ["an epoch of 0", changed({ epoch: 0 }), "no epoch"],
    ["an epoch that can't grow", changed({ epoch: 2 ** 53 }), "no epoch"],
    ["an epoch between two", changed({ epoch: 1.5 }), "no epoch"],
    ["an epoch in text", changed({ epoch: "3" }), "no epoch"],
    ["an owner that is no UUID", changed({ owner: "me" }), "names no owner"],
    ["a taking that is no UUID", changed({ taking: 7 }), "names no taking"],
    ["renewals below 0", changed({ renewal: -1 }), "counts no renewals"],
    ["another state", changed({ state: "stolen" }), "neither held nor released"],
    ["a time of 0", changed({ ttlMs: 0 }), "holds for no time"],
    ["a time that would lock everybody out", changed({ ttlMs: 600_001 }), "holds for no time"],
    ["no date", changed({ since: "yesterday" }), "tells no time"],
    ["no machine", changed({ machine: null }), "names no machine"],
    ["more than a lease can be", changed({ machine: "x".repeat(5000) }), "bytes"],
  ])("is refused where it is %s", (_, text, why) => {
    expect(() => parse(text)).toThrow(corrupt(why));
    expect(() => parse(text)).toThrow(corrupt("flysqlite/lease.json"));
  });

  it("is read or refused, whichever of its bytes is another one, and never taken for a longer or an endless one", () => {
    const bytes = new TextEncoder().encode(formatLease(content()));
    const random = seededRandom(1);
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = Math.floor(random.unit() * 256);
      let read: LeaseContent;
      try {
        read = parseLease(damaged, "");
      } catch (error) {
        expect(error).toEqual(corrupt(""));
        continue;
      }
      expect(read.ttlMs).toBeLessThanOrEqual(600_000);
      expect(read.epoch + 1).toBeGreaterThan(read.epoch);
    }
  });
});

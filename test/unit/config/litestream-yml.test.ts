import { describe, expect, it } from "vitest";
import { parseLitestreamYml } from "../../../src/config/litestream-yml.ts";

const parse = (text: string, environment: NodeJS.ProcessEnv = {}) =>
  parseLitestreamYml(text, { file: "litestream.yml", environment });

const V03 = `
dbs:
  - path: /data/app.db
    replicas:
      - type: file
        path: /backup/app
        sync-interval: 500ms
`;

const V05 = `
sync-interval: 2s
dbs:
  - path: /data/app.db
    replica:
      url: file:///backup/app
`;

describe("parseLitestreamYml", () => {
  it("reads Litestream 0.3's list of replicas", async () => {
    expect(await parse(V03)).toEqual({
      entries: [
        {
          source: "litestream.yml:3",
          path: { value: "/data/app.db", source: "litestream.yml:3" },
          replica: { value: { type: "file", path: "/backup/app" }, source: "litestream.yml:5" },
          syncInterval: { value: 500, source: "litestream.yml:7" },
        },
      ],
      levels: {},
      problems: [],
      notes: [],
    });
  });

  it("reads Litestream 0.5's one replica, and the interval that holds for all", async () => {
    expect(await parse(V05)).toEqual({
      entries: [
        {
          source: "litestream.yml:4",
          path: { value: "/data/app.db", source: "litestream.yml:4" },
          replica: { value: { url: "file:///backup/app" }, source: "litestream.yml:6" },
          syncInterval: { value: 2000, source: "litestream.yml:2" },
        },
      ],
      levels: {},
      problems: [],
      notes: [],
    });
  });

  it("prefers a replica's own interval", async () => {
    const { entries } = await parse(`${V05}      sync-interval: 3s\n`);
    expect(entries[0]?.syncInterval).toEqual({ value: 3000, source: "litestream.yml:7" });
  });

  it("reads every key by which a bucket can be named", async () => {
    const keys = {
      type: "s3",
      url: "s3://shop/app",
      bucket: "shop",
      path: "app",
      endpoint: "https://minio.example",
      region: "eu-1",
      "force-path-style": "true",
      "skip-verify": "false",
      "access-key-id": "id",
      "secret-access-key": "secret",
    };
    const lines = Object.entries(keys).map(([key, text]) => `        ${key}: ${text}\n`);
    const { entries, problems, notes } = await parse(`dbs:\n  - path: /a\n    replicas:\n      -\n${lines.join("")}`);
    expect(entries[0]?.replica).toEqual({ value: keys, source: "litestream.yml:5" });
    expect([problems, notes]).toEqual([[], []]);
  });

  it("takes what stands at the top for the replica's default", async () => {
    const defaults = {
      "access-key-id": "id",
      "secret-access-key": "secret",
      bucket: "shop",
      endpoint: "https://minio.example",
      region: "eu-1",
      "force-path-style": "true",
      "skip-verify": "true",
    };
    const top = Object.entries(defaults)
      .map(([key, text]) => `${key}: ${text}\n`)
      .join("");
    const report = await parse(`${top}dbs:\n  - path: /a\n    replica: {type: s3, path: app, region: us-1}\n`);
    expect(report.entries[0]?.replica?.value).toEqual({ ...defaults, type: "s3", path: "app", region: "us-1" });
    expect([report.problems, report.notes]).toEqual([[], []]);
  });

  it.each(["url: s3://shop", "type: s3", "path: /backup"])(
    "notes that %s has no effect at the top, as with Litestream",
    async (line) => {
      const { entries, notes } = await parse(`${line}\n${V05}`);
      expect(entries[0]?.replica?.value).toEqual({ url: "file:///backup/app" });
      expect(notes).toEqual([`litestream.yml:1: "${line.split(":")[0]}" is not followed by this release`]);
    },
  );

  it.each(["sse-customer-algorithm", "sse-customer-key", "sse-customer-key-path", "sse-kms-key-id"])(
    "refuses %s: the replica would be less protected than was meant",
    async (key) => {
      const { problems } = await parse(`${V05}      ${key}: x\n`);
      expect(problems).toEqual([`litestream.yml:7: "${key}": encryption with a key of one's own is not supported`]);
    },
  );

  it.each([
    ["a database without a replica", "dbs:\n  - path: /data/app.db\n"],
    ["a replica that is null", "dbs:\n  - path: /data/app.db\n    replica:\n"],
    ["an empty list of replicas", "dbs:\n  - path: /data/app.db\n    replicas: []\n"],
  ])("finds no replica in %s", async (_, text) => {
    expect(await parse(text)).toMatchObject({ entries: [{ replica: undefined }], problems: [] });
  });

  it.each([
    ["no databases", "addr: :9090\n"],
    ["databases that are null", "dbs:\n"],
  ])("finds no entry where there are %s", async (_, text) => {
    expect(await parse(text)).toMatchObject({ entries: [], problems: [] });
  });

  it("notes the keys that it knows and does not follow, each with its line", async () => {
    const { problems, notes } = await parse(
      "addr: :9090\ndbs:\n  - path: /a\n    busy-timeout: 1s\n    replica:\n      path: /b\n      retention: 24h\n",
    );
    expect(problems).toEqual([]);
    expect(notes).toEqual([
      'litestream.yml:1: "addr" is not followed by this release',
      'litestream.yml:4: "busy-timeout" is not followed by this release',
      'litestream.yml:7: "retention" is not followed by this release',
    ]);
  });

  it("tells every problem at once, each with file and line", async () => {
    const { problems } = await parse(`dsb: []
sync-interval: 10
dbs:
  - path: \${NOWHERE}
    pth: /x
    replicas:
      - type: s3
        age: {}
        sync-interval: soon
      - path: /second
`);
    expect(problems).toEqual([
      "litestream.yml:4: the variable NOWHERE is not set",
      'litestream.yml:1: "dsb" is no key of litestream.yml',
      'litestream.yml:2: sync-interval: "10" is no duration such as 500ms, 10s or 1h30m',
      'litestream.yml:5: "pth" is no key of a database in dbs',
      "litestream.yml:8: encryption by age was left behind by Litestream 0.5 and is not supported",
      "litestream.yml:10: this release writes one replica, and more are named",
      'litestream.yml:9: sync-interval: "soon" is no duration such as 500ms, 10s or 1h30m',
    ]);
  });

  it.each([
    ["dbs", "dbs: /data/app.db\n", "litestream.yml:1: dbs: it must be a list"],
    ["dbs", "dbs:\n  path: /a\n", "litestream.yml:2: dbs: it must be a list"],
    ["a database", "dbs:\n  - /data/app.db\n", "litestream.yml:2: dbs: it must hold keys and values"],
    ["replica", "dbs:\n  - replica: file:///b\n", "litestream.yml:2: replica: it must hold keys and values"],
    ["replica", "dbs:\n  - replica:\n      - path: /b\n", "litestream.yml:3: replica: it must hold keys and values"],
    ["replicas", "dbs:\n  - replicas:\n      path: /b\n", "litestream.yml:3: replicas: it must be a list"],
    ["replicas", "dbs:\n  - replicas:\n      - /b\n", "litestream.yml:3: replicas: it must hold keys and values"],
    ["url", "dbs:\n  - replica:\n      url: [/b]\n", "litestream.yml:3: url: it must be a single value"],
    ["sync-interval", "sync-interval: {a: 1}\n", "litestream.yml:1: sync-interval: it must be a single value"],
  ])("refuses a value of %s that is of another kind, since it would silently not hold", async (_, text, problem) => {
    expect((await parse(text)).problems).toContain(problem);
  });

  it.each([
    ["", "it holds no settings"],
    ["# nothing\n", "it holds no settings"],
    ["- a\n", "it holds no settings"],
    ["just text\n", "it holds no settings"],
  ])("refuses %j, which holds no settings", async (text, problem) => {
    expect((await parse(text)).problems).toEqual([`litestream.yml: ${problem}`]);
  });

  it.each([
    ["an unclosed list", "dbs: [\n", "litestream.yml:2: "],
    ["a tab as indentation", "dbs:\n\t- path: /a\n", "litestream.yml:2: "],
    ["a second document", "dbs: []\n---\ndbs: []\n", "litestream.yml:2: "],
    ["a key that stands twice", "addr: a\naddr: b\n", "litestream.yml:2: Map keys must be unique"],
    ["a replica key that stands twice", V05 + V05, "litestream.yml:8: Map keys must be unique"],
  ])("refuses %s, with its line", async (_, text, problem) => {
    const report = await parse(text);
    expect(report.entries).toEqual([]);
    expect(report.problems[0]).toContain(problem);
  });

  it("takes a value that is no string as it is written", async () => {
    const { entries } = await parse("dbs:\n  - path: 0755\n    replica: {path: 1_0}\n");
    expect(entries[0]).toMatchObject({ path: { value: "0755" }, replica: { value: { path: "1_0" } } });
  });
});

describe("parseLitestreamYml, of levels", () => {
  it("reads what Litestream 0.5 calls them", async () => {
    const { levels, problems, notes } = await parse(`
levels:
  - interval: 10s
  - interval: 2m
snapshot:
  interval: 12h
  retention: 720h
l0-retention: 10m
l0-retention-check-interval: 20s
retention:
  enabled: false
`);
    expect([problems, notes]).toEqual([[], []]);
    expect(levels).toEqual({
      intervalsMs: [10_000, 120_000],
      snapshotIntervalMs: 43_200_000,
      snapshotRetentionMs: 2_592_000_000,
      uploadRetentionMs: 600_000,
      uploadRetentionCheckMs: 20_000,
      deletes: false,
    });
  });

  it.each([
    ["nothing", "addr: x\n"],
    ["null", "levels:\nsnapshot:\nl0-retention:\nretention:\n"],
    ["empty maps", "snapshot: {}\nretention: {}\n"],
  ])("says nothing where %s is said", async (_, text) => {
    expect(await parse(text)).toMatchObject({ levels: {}, problems: [] });
  });

  it("takes retention of uploads for ever", async () => {
    for (const zero of ["0", "0s", "0h"]) {
      expect((await parse(`l0-retention: ${zero}\n`)).levels).toEqual({ uploadRetentionMs: 0 });
    }
  });

  it("takes a database's own snapshot settings", async () => {
    const own = "dbs:\n  - path: /a\n    snapshot: {interval: 1h, retention: 2h}\n";
    expect(await parse(own)).toMatchObject({
      levels: { snapshotIntervalMs: 3_600_000, snapshotRetentionMs: 7_200_000 },
      problems: [],
      notes: [],
    });
    const both = `snapshot: {interval: 60m}\n${own}`;
    expect(await parse(both)).toMatchObject({ levels: { snapshotIntervalMs: 3_600_000 }, problems: [] });
  });

  it("refuses snapshot settings that contradict each other, as Litestream does", async () => {
    const text = "snapshot: {interval: 1h}\ndbs:\n  - path: /a\n    snapshot:\n      interval: 2h\n";
    expect((await parse(text)).problems).toEqual([
      "litestream.yml:5: snapshot: interval: litestream.yml:1 says something else",
    ]);
  });

  it("notes that a replica's own retention, as Litestream 0.3 has it, has no effect", async () => {
    const text = "dbs:\n  - path: /a\n    replica: {path: /b, retention: 24h, snapshot-interval: 1h}\n";
    expect(await parse(text)).toMatchObject({
      levels: {},
      problems: [],
      notes: [
        'litestream.yml:3: "retention" is not followed by this release',
        'litestream.yml:3: "snapshot-interval" is not followed by this release',
      ],
    });
  });

  it.each([
    ["levels: 30s", "levels: it must be a list"],
    ["levels: []", "levels: there may be 1 to 8"],
    [`levels: [${"{interval: 1h},".repeat(9)}]`, "levels: there may be 1 to 8"],
    ["levels: [30s]", "levels: it must hold keys and values"],
    ["levels: [{}]", "levels: a level needs an interval"],
    ["levels: [{interval: 0s}]", 'interval: "0s" is not between 1ms and 876000h'],
    ["levels: [{interval: 1h, retention: 1h}]", '"retention" is no key of a level'],
    ["snapshot: 1h", "snapshot: it must hold keys and values"],
    ["snapshot: {intervall: 1h}", '"intervall" is no key of snapshot'],
    ["snapshot: {interval: 1d}", 'interval: "1d" is no duration such as 500ms, 10s or 1h30m'],
    ["snapshot: {retention: 0}", 'retention: "0" is no duration such as 500ms, 10s or 1h30m'],
    ["retention: 24h", "retention: it must hold keys and values"],
    ["retention: {enabled: yes}", "enabled: it is neither true nor false"],
    ["retention: {enable: true}", '"enable" is no key of retention'],
    ["l0-retention: -1s", 'l0-retention: "-1s" is no duration such as 500ms, 10s or 1h30m'],
    ["l0-retention-check-interval: 0", 'l0-retention-check-interval: "0" is no duration such as 500ms, 10s or 1h30m'],
  ])("refuses %s, with its line", async (text, problem) => {
    expect((await parse(`addr: x\n${text}\n`)).problems).toEqual([`litestream.yml:2: ${problem}`]);
  });
});

describe("parseLitestreamYml with variables", () => {
  it("puts the environment's values in their place", async () => {
    const text = `dbs:\n  - path: $DIR/app.db\n    replica:\n      url: file://\${BACKUP}/app\n`;
    expect(await parse(text, { DIR: "/data", BACKUP: "/backup" })).toMatchObject({
      entries: [{ path: { value: "/data/app.db" }, replica: { value: { url: "file:///backup/app" } } }],
      problems: [],
    });
  });

  it("takes an empty value for set", async () => {
    expect((await parse("addr: x$NOTHING\n", { NOTHING: "" })).problems).toEqual([]);
  });

  it("refuses one that is not set, with its line, and puts nothing in its place silently", async () => {
    expect((await parse(`addr: a\nbucket: \${BUCKET}\nregion: $REGION\n`)).problems).toEqual([
      "litestream.yml:2: the variable BUCKET is not set",
      "litestream.yml:3: the variable REGION is not set",
    ]);
  });

  it("does not look into lines of comment", async () => {
    expect((await parse(`# \${UNSET}\n  # $UNSET\naddr: a\n`)).problems).toEqual([]);
  });

  it.each(["__proto__", "constructor", "toString"])(`does not take \${%s} for set`, async (name) => {
    expect((await parse(`addr: \${${name}}\n`)).problems).toEqual([
      `litestream.yml:1: the variable ${name} is not set`,
    ]);
  });
});

describe("parseLitestreamYml with anchors", () => {
  it("follows an alias to a replica, a database and a value", async () => {
    const replica = "dbs:\n  - path: /a\n    replica: &r {path: /b}\n  - path: /c\n    replica: *r\n";
    expect((await parse(replica)).entries.map((entry) => entry.replica?.value.path)).toEqual(["/b", "/b"]);
    const value = "addr: &p /b\ndbs:\n  - replica: {path: *p}\n";
    expect((await parse(value)).entries[0]?.replica).toEqual({ value: { path: "/b" }, source: "litestream.yml:3" });
    const database = "dbs:\n  - &d {path: /a, replica: {path: /b}}\n  - *d\n";
    expect((await parse(database)).entries).toHaveLength(2);
  });

  it.each([
    ["to nowhere", "dbs: *nope\n", "litestream.yml:1: "],
    ["to what holds it", "dbs: &a\n  - *a\n", "litestream.yml:2: dbs: it must hold keys and values"],
    ["as a merge", "dbs:\n  - &d {path: /a}\n  - <<: *d\n", 'litestream.yml:3: "<<" is no key of a database in dbs'],
  ])("refuses an alias %s", async (_, text, problem) => {
    expect((await parse(text)).problems[0]).toContain(problem);
  });
});

describe("parseLitestreamYml with hostile text", () => {
  const LIMIT = 32 * 1024;
  const bomb = Array.from(
    { length: 30 },
    (_, level) => `k${level}: &k${level} [${`*k${level - 1},`.repeat(level === 0 ? 0 : 9)}]`,
  ).join("\n");

  it.each([
    ["10 MB", "a: b\n".repeat(2_000_000)],
    ["more than the limit in two-byte characters", `addr: ${"é".repeat(LIMIT / 2)}\n`],
  ])("does not parse a file of %s", async (_, text) => {
    expect(await parse(text)).toEqual({
      entries: [],
      levels: {},
      problems: [`litestream.yml: larger than ${LIMIT} bytes`],
      notes: [],
    });
  });

  it.each([
    ["an alias bomb", bomb],
    ["an alias bomb in dbs", `${bomb}\ndbs: *k29\n`],
    ["a deep list", `dbs: ${"[".repeat(LIMIT - 100)}`],
    ["a deep map", "a: ".repeat(LIMIT / 3 - 10)],
    ["many keys", Array.from({ length: 4000 }, (_, index) => `k${index}:`).join("\n")],
    ["many aliases", `x: &x {path: /a}\ndbs:\n${" - *x\n".repeat(5000)}`],
    ["many unset variables", `addr: \${A}\n`.repeat(3000)],
  ])("is done with %s, and tells a page of problems at most", async (_, text) => {
    const { problems } = await parse(text);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(21);
  });

  it("says how many problems it does not tell", async () => {
    const { problems } = await parse(Array.from({ length: 30 }, (_, index) => `k${index}:`).join("\n"));
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe("litestream.yml: 10 more problems");
  });

  it.each(["\0", "\u0001", "\u001b", "\u007f"])("refuses the character %j, with its line", async (character) => {
    expect((await parse(`addr: a\nbucket: b${character}\n`)).problems).toEqual([
      "litestream.yml:2: a control character",
    ]);
  });

  it("reads lines that end as on Windows", async () => {
    expect((await parse(V05.replaceAll("\n", "\r\n"))).entries[0]?.replica?.value).toEqual({
      url: "file:///backup/app",
    });
  });

  it("refuses keys that mean something to JavaScript, and changes no prototype", async () => {
    const text =
      "__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\ndbs:\n  - __proto__: {polluted: 1}\n";
    expect((await parse(text)).problems).toEqual([
      'litestream.yml:1: "__proto__" is no key of litestream.yml',
      'litestream.yml:2: "constructor" is no key of litestream.yml',
      'litestream.yml:4: "__proto__" is no key of a database in dbs',
    ]);
    expect({}).not.toHaveProperty("polluted");
  });

  it.each([
    ["null", ": 1\n"],
    ["a list", "? [a]\n: 1\n"],
    ["an alias", "addr: &a x\n*a : 1\n"],
  ])("refuses a key that is %s", async (_, text) => {
    expect((await parse(text)).problems).toHaveLength(1);
  });
});

describe("parseLitestreamYml with secrets", () => {
  const CANARY = "canary-Kx9/secret+key=0123456";

  it.each([
    ["without a space before it", `secret-access-key:${CANARY}\n`],
    ["without a space before it, in braces", `dbs:\n  - replica: {path: /b, secret-access-key:${CANARY}}\n`],
    ["after a bar", `secret-access-key: |${CANARY}\n`],
    ["in quotes that don't end", `secret-access-key: "${CANARY}\n`],
    ["after quotes that end", `secret-access-key: "" ${CANARY}\n`],
    ["after a brace", `secret-access-key: }${CANARY}\n`],
    ["after a sign that YAML keeps", `secret-access-key: @${CANARY}\n`],
    ["after a star", `secret-access-key: *${CANARY}\n`],
    ["as a list", `secret-access-key: [${CANARY}]\n`],
    ["in the place of a map", `dbs:\n  - replica: ${CANARY}\n`],
    ["in the place of all", `${CANARY}\n`],
  ])("tells what is wrong with one that stands %s, without it", async (_, text) => {
    const { problems } = await parse(text);
    expect(problems).not.toEqual([]);
    expect(problems.join("\n")).not.toMatch(/canary|Kx9|secret\+key/);
  });
});

import { describe, expect, it } from "vitest";
import { editFlyToml, flyDockerfile, flyEnvironment, flyPort, flyVolume } from "../../../src/init/fly-toml.ts";

/** As `fly launch` writes it, and as people change it. */
const LAUNCHED = `# fly.toml app configuration file generated for shop
#
# See https://fly.io/docs/reference/configuration/

app = 'shop'
primary_region = 'ams' # near us

[build]

[http_service]
  internal_port = 8080
  processes = ['app']

  [[http_service.checks]]
    path = "/healthz"

[[vm]]
  memory = '1gb'
`;

describe("editFlyToml", () => {
  it("adds the volume, its growth and the time for the last sync, and moves nothing", () => {
    const { text, notes } = editFlyToml(LAUNCHED);
    expect(text).toBe(
      LAUNCHED.replace("# near us\n", '# near us\nkill_timeout = "30s" # time for the last sync\n') +
        `
# The volume with the database. It grows by itself.
[mounts]
  source = "data"
  destination = "/data"
  auto_extend_size_threshold = 80
  auto_extend_size_increment = "1GB"
  auto_extend_size_limit = "10GB"

[env]
  FLYSQLITE_STOP_TIMEOUT = "27000ms" # nine tenths of kill_timeout
`,
    );
    expect(notes).toEqual([]);
  });

  it("changes nothing the second time", () => {
    const { text } = editFlyToml(LAUNCHED);
    expect(editFlyToml(text)).toEqual({ text, notes: [] });
  });

  it("makes up no app's name", () => {
    expect(editFlyToml("").text).not.toMatch(/^app\b/m);
  });

  it("adds only what a mount lacks, and keeps its place, its indentation and its comments", () => {
    const text = `[mounts]\nsource = "store" # mine\ndestination = '/storage/'\nauto_extend_size_limit = "3GB"\n\n[env]\n\tA = "b"\n`;
    expect(editFlyToml(text).text).toBe(`kill_timeout = "30s" # time for the last sync

[mounts]
source = "store" # mine
destination = '/storage/'
auto_extend_size_limit = "3GB"
auto_extend_size_threshold = 80
auto_extend_size_increment = "1GB"

[env]
\tA = "b"
\tFLYSQLITE_STOP_TIMEOUT = "27000ms" # nine tenths of kill_timeout
`);
    expect(flyVolume(text)).toBe("/storage");
  });

  it.each([
    ['kill_timeout = "5s"', "4500ms"],
    ["kill_timeout = 60 # seconds", "54000ms"],
    ["kill_timeout = '2m'", "108000ms"],
  ])("goes by %s", (line, expected) => {
    const { text } = editFlyToml(`app = "x"\n${line}\n`);
    expect(text.match(/kill_timeout/g)).toHaveLength(2); // the line, and the comment
    expect(flyEnvironment(text).get("FLYSQLITE_STOP_TIMEOUT")).toBe(expected);
  });

  it("turns a release command that migrates into a comment, as that machine has no volume", () => {
    const text = '[deploy]\n  strategy = "rolling"\n  release_command = "npx prisma migrate deploy"\n';
    expect(editFlyToml(text).text).toContain(
      '  strategy = "rolling"\n  # flysqlite migrates at each start; a release machine has no volume.\n  # release_command = "npx prisma migrate deploy"\n',
    );
    expect(editFlyToml(editFlyToml(text).text).text).toBe(editFlyToml(text).text);
  });

  it("lets [processes] say the app's command, whatever it is (gap 20)", () => {
    const text = '[processes]\n  app = "node server.js"\n';
    expect(editFlyToml(text).text).toContain(text);
    expect(editFlyToml(text).notes).toEqual([]);
  });

  it.each([
    ['[processes]\napp = "a"\nworker = "b"\n', "(app, worker) is a machine of its own"],
    ['[experimental]\nentrypoint = ["sh"]\n', "takes the place of the image's"],
    ['[build]\nbuilder = "heroku/builder:24"\n', "[build] says `builder`"],
    ['[deploy]\nrelease_command = "node x.js"\n', "release_command runs on a machine without the volume"],
    ['[[mounts]]\nsource="a"\n[[mounts]]\nsource="b"\n', "takes the first one"],
  ])("says what would keep flysqlite from its work: %j", (text, note) => {
    expect(editFlyToml(text).notes).toEqual([expect.stringContaining(note)]);
  });

  it("is not misled by values of several lines", () => {
    const text = `note = """\n[mounts]\nkill_timeout = 1\n"""\nlist = [\n  "a", # ]\n  "b",\n]\n\n[env]\n  A = 1\n`;
    const { text: after } = editFlyToml(text);
    expect(after).toContain(']\nkill_timeout = "30s"');
    expect(after).toContain("\n[mounts]\n  source");
  });

  it.each([['mounts.source = "a"\n'], ['mounts = [{ source = "a", destination = "/data" }]\n']])(
    "leaves mounts alone that are written as %j",
    (text) => {
      expect(editFlyToml(text).text.match(/mounts/g)).toHaveLength(1);
    },
  );
});

describe("what fly.toml says of the app", () => {
  it("is its port, of both kinds of services", () => {
    expect(flyPort(LAUNCHED)).toBe(8080);
    expect(flyPort("[[services]]\ninternal_port = 4000\n")).toBe(4000);
    expect(flyPort("")).toBeUndefined();
  });

  it("is its Dockerfile", () => {
    expect(flyDockerfile(LAUNCHED)).toBe("Dockerfile");
    expect(flyDockerfile('[build]\ndockerfile = "./deploy/Dockerfile.web"\n')).toBe("deploy/Dockerfile.web");
  });

  it("is its environment, escapes read", () => {
    expect(flyEnvironment(`[env]\nA = "x\\ty" # c\n"B" = 'z\\n'\n`)).toEqual(
      new Map([
        ["A", "x\ty"],
        ["B", "z\\n"],
      ]),
    );
  });
});

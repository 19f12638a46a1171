import { describe, expect, it } from "vitest";
import { type PackageFacts, resolvePackageCommand } from "../../../src/plan/package-command.ts";

const facts: PackageFacts = {
  scripts: {
    start: "node server.js",
    serve: "node server.js --port 80",
    prebuilt: "node check.js",
    built: "node server.js",
    postbuilt: "node report.js",
    asks: "node server.js --ua $npm_config_user_agent",
    version: "echo $npm_package_version",
  },
  name: "shop",
  version: "1.2.3",
  file: "/app/package.json",
  settings: [],
};

const resolve = (command: string, more: Partial<PackageFacts> = {}) =>
  resolvePackageCommand(command.split(" "), { ...facts, ...more });

const only = (event: string, script: string) => ({ kind: "scripts", scripts: [{ event, script }] });

describe("resolvePackageCommand", () => {
  it.each([
    ["npm start", only("start", "node server.js")],
    ["npm run start", only("start", "node server.js")],
    ["npm run-script serve", only("serve", "node server.js --port 80")],
    ["npm run serve --silent", only("serve", "node server.js --port 80")],
    ["npm -s run serve", only("serve", "node server.js --port 80")],
    ["npm run serve -- --host x", only("serve", "node server.js --port 80 --host x")],
    ["npm run serve plain", only("serve", "node server.js --port 80 plain")],
    ["npm start -- -s", only("start", "node server.js -s")],
    ["pnpm run serve --host x", only("serve", "node server.js --port 80 --host x")],
    ["pnpm start", only("start", "node server.js")],
    ["yarn run serve", only("serve", "node server.js --port 80")],
    ["yarn start", only("start", "node server.js")],
    ["bun run serve", only("serve", "node server.js --port 80")],
    ["npm run version", only("version", "echo $npm_package_version")],
  ])("leaves the manager out of %s", (command, resolution) => {
    expect(resolve(command)).toMatchObject(resolution);
  });

  it("quotes an argument as npm does", () => {
    const command = ["npm", "run", "serve", "--", "it's", "$HOME"];
    expect(resolvePackageCommand(command, facts)).toMatchObject(
      only("serve", "node server.js --port 80 'it'\\''s' '$HOME'"),
    );
  });

  it("runs npm's pre and post scripts", () => {
    expect(resolve("npm run built -- x")).toMatchObject({
      scripts: [
        { event: "prebuilt", script: "node check.js" },
        { event: "built", script: "node server.js x" },
        { event: "postbuilt", script: "node report.js" },
      ],
    });
  });

  it("sets the variables that apps read", () => {
    expect(resolve("npm run serve")).toMatchObject({
      environment: {
        npm_lifecycle_event: "serve",
        npm_lifecycle_script: "node server.js --port 80",
        npm_package_name: "shop",
        npm_package_version: "1.2.3",
        npm_package_json: "/app/package.json",
      },
    });
  });

  it.each([
    ["npx next start", { kind: "tool", name: "next", arguments: ["start"] }],
    ["npx --yes --no-install next start -p 80", { kind: "tool", name: "next", arguments: ["start", "-p", "80"] }],
    ["npx -- next", { kind: "tool", name: "next", arguments: [] }],
    ["bunx next", { kind: "tool", name: "next", arguments: [] }],
    ["npm exec -- next start", { kind: "tool", name: "next", arguments: ["start"] }],
    ["pnpm exec next", { kind: "tool", name: "next", arguments: [] }],
  ])("takes %s for a program of the app's packages", (command, resolution) => {
    expect(resolve(command)).toEqual(resolution);
  });

  it.each([
    "node server.js",
    "npm ci",
    "npm run",
    "npm",
    "npx",
    "npx next@14 start",
    "npx @scope/tool",
    "npx -p pkg tool",
    "npx -c tool",
    "npm run --if-present serve",
    "bun server.ts",
    "yarn serve",
  ])("leaves %s as it is", (command) => {
    expect(resolve(command)).toEqual({ kind: "as it is" });
  });

  it.each([
    ["a script that is not there", "npm run nothing", {}, /no script "nothing"/],
    ["a flag of npm's own", "npm run serve --workspace=x", {}, /"--workspace=x"/],
    ["a flag of npm's own before the words", "npm start --prefix x -- y", {}, /"--prefix"/],
    ["a script that asks npm", "npm run asks", {}, /reads variables/],
    ["pre scripts of a manager that may not run them", "yarn run built", {}, /depends on its version/],
    ["a setting", "npm start", { settings: [{ manager: "npm", what: ".npmrc" }] }, /\.npmrc may change/],
    ["no package.json", "npm start", { scripts: undefined }, /no script "start"/],
    ["dashes that pnpm would hand on", "pnpm run serve -- x", {}, /pnpm itself is told "--"/],
  ] as const)("keeps the manager, and says why, for %s", (_, command, more, why) => {
    const resolution = resolve(command, more);
    expect(resolution).toMatchObject({ kind: "kept", why: expect.stringMatching(why) });
  });

  it("minds a setting of another manager not at all", () => {
    expect(resolve("yarn start", { settings: [{ manager: "npm", what: ".npmrc" }] }).kind).toBe("scripts");
  });
});

import { describe, expect, it } from "vitest";
import { lookUpUser } from "../../../src/supervisor/privileges.ts";
import { findUser, nameOfUser } from "../../../src/supervisor/user.ts";

const files = {
  passwd: `root:x:0:0:root:/root:/bin/sh
# a comment
node:x:1000:1000:Node,,,:/home/node:/bin/sh
worker:x:1001:50::
`,
  group: `root:x:0:
node:x:1000:
video:x:44:node,worker
staff:x:50:
mail:x:8:worker
`,
};

describe("findUser", () => {
  it.each([
    ["a name", "node", { uid: 1000, gid: 1000, groups: [44], home: "/home/node" }],
    ["a number of a known user", "1000", { uid: 1000, gid: 1000, groups: [44], home: "/home/node" }],
    ["a user with a group of another name", "worker", { uid: 1001, gid: 50, groups: [44, 8], home: "/" }],
    [
      "a name with a group, which is then the only one",
      "node:staff",
      { uid: 1000, gid: 50, groups: [], home: "/home/node" },
    ],
    ["numbers", "1234:4321", { uid: 1234, gid: 4321, groups: [], home: "/" }],
    ["root", "root", { uid: 0, gid: 0, groups: [], home: "/root" }],
  ])("understands %s", (_, told, user) => {
    expect(findUser(told, files)).toEqual(user);
  });

  it("knows root also in an image without a file of users", () => {
    expect(findUser("root", { passwd: "", group: "" })).toMatchObject({ uid: 0, gid: 0 });
  });

  it.each([
    ["no such user", "nobody-here", /no user "nobody-here"/],
    ["no such group", "node:nothing", /no group "nothing"/],
    ["an unknown number alone", "1234", /group has to be named too/],
    ["nothing", "", /no user ""/],
    ["a negative number", "-1:5", /no user "-1"/],
    ["the number that stands for none", "4294967295:5", /no user/],
    ["a name that is in no file", "node", /no user "node"/, { passwd: "", group: "" }],
  ])("refuses %s", (_, told, message, from = files) => {
    expect(() => findUser(told, from)).toThrow(expect.objectContaining({ code: "E_CONFIG" }));
    expect(() => findUser(told, from)).toThrow(message);
  });
});

describe("a look at the user to become", () => {
  it("knows the names of users", () => {
    expect([1001, 0, 4242].map((uid) => nameOfUser(uid, files.passwd))).toEqual(["worker", "root", undefined]);
    expect(nameOfUser(0, "")).toBe("root");
  });

  it.each([
    ["root, by name", "root", 1000, { name: "root", isRoot: true, isKnown: true }],
    ["numbers, which need no entry", "4242:4242", 0, { name: "4242:4242", isRoot: false, isKnown: true }],
    ["a name that this system lacks", "no-such-user", 0, { name: "no-such-user", isRoot: false, isKnown: false }],
    ["who runs it, where nobody is told", undefined, 0, { name: "root", isRoot: true, isKnown: true }],
    ["a number without a name", undefined, 3_999_999, { name: "uid 3999999", isRoot: false, isKnown: true }],
  ])("finds %s", (_, told, uid, expected) => {
    expect(lookUpUser(told, { getuid: () => uid })).toEqual(expected);
  });
});
